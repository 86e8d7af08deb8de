"""Which repository an idea is about, and what was found there."""

from domain.record import Record


class Repository(Record):
    """A repository as the door named it; `location` is an absolute path or a canonical URL.

    `id` is the basename and eight hex digits of SHA-256 over the real path of the git common
    directory (or over the canonical URL). `base` is a full ref name, `refs/heads/...`.
    """

    id: str
    name: str
    location: str
    base: str
    forge: str = "local"
    update_base: bool = False
    config_file: str = ""  # text of --repo-config, for repositories without a .slipway.yaml


class RepositoryFacts(Record):
    """What the forge found when it looked; `base_sha` is the commit that all work starts from."""

    base_sha: str
    object_format: str = "sha1"
    bare: bool = False
    base_moves: bool = False  # whether a merge moves the base branch itself
    tags_are_calendar: bool = False
    services: bool = False  # whether the base commit declares services that are deployed
    notes: tuple[str, ...] = ()  # for people: dirty work tree, shallow clone, ...
