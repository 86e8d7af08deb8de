"""Finding rollouts, and saying what a release would do before it starts."""

from pathlib import Path

from config.files import read_bytes
from config.repo import read_repo_config
from domain.deployment import Place
from domain.errors import Rejected
from domain.record import Record
from domain.release_plan import ForeseenRelease, Traffic, chosen, foresee
from domain.repo_config import FILE_NAME, RepoConfig
from domain.repository import Repository
from domain.rollout_view import RolloutFilter, RolloutRecord
from domain.service_check import touched_services
from starter.lookup import full_key
from starter.reads import Reads
from starter.repository import changed_paths, commit_of, file_at, look_at

_MOST = 20  # rollouts of an idea that are shown whole


class ServicesChecked(Record):
    """A file that holds, and what its services would do; ports and programs are not tried."""

    file: str
    releases: tuple[ForeseenRelease, ...] = ()


class ReleasesForeseen(Record):
    """What a commit would do in all its places; `untouched` services are not deployed."""

    repository: str
    ref: str
    sha: str
    releases: tuple[ForeseenRelease, ...] = ()
    untouched: tuple[str, ...] = ()


async def rollouts_of(reads: Reads, given: str) -> tuple[RolloutRecord, ...]:
    """Return a rollout by its id or the beginning of it, or those of an idea, newest first.

    Raises `Rejected` where nothing or more than one is meant.
    """
    begun = await reads.rollouts_begun(given.upper(), 6) if given else ()
    if given.upper() in begun or len(begun) == 1:
        return (await reads.rollout(given.upper() if given.upper() in begun else begun[0]),)
    if begun:
        raise Rejected(
            f"More than one rollout begins with {given}",
            code="ambiguous_rollout",
            path="rollout",
            hint=f"Write more of it: {', '.join(begun[:5])}.",
        )
    key = await _key(reads, given)
    lines = await reads.list_rollouts(RolloutFilter(key=key), _MOST)
    if not lines:
        raise Rejected(
            f"{key} has no rollout yet",
            code="no_rollout",
            path="rollout",
            hint=f"`slipway idea explain {key}` says where it is.",
        )
    return tuple([await reads.rollout(line.rollout) for line in lines])


async def _key(reads: Reads, given: str) -> str:
    try:
        return await full_key(reads, given)
    except Rejected as error:
        raise Rejected(
            f"Neither a rollout nor an idea is called {given!r:.80}",
            code="unknown_rollout",
            path="rollout",
            hint="`slipway release list` and `slipway idea list` show all.",
        ) from error


def check_services(place: Path) -> ServicesChecked:
    """Read the services of a file, or of a repository as it lies there now.

    Raises `Refused` with line, field and reason, `Rejected` where there is nothing to read.
    """
    name, text = _declared(place)
    config = read_repo_config(text, name)
    found = tuple(
        foresee(config.services[service], service, environment)
        for service, environment in chosen(config.services)
    )
    return ServicesChecked(file=name, releases=found)


def _declared(place: Path) -> tuple[str, str]:
    """Return the name and the text of the file; of a bare repository that of its base."""
    if not place.is_dir():
        return str(place), _text(place)
    if (place / FILE_NAME).is_file():
        return str(place / FILE_NAME), _text(place / FILE_NAME)
    repository = look_at(str(place))
    file = Path(repository.location) / FILE_NAME
    if file.is_file():
        return str(file), _text(file)
    sha = commit_of(repository.location, repository.base)
    text = file_at(repository.location, sha, FILE_NAME)
    if text is None:
        raise _undeclared(repository, sha)
    return f"{sha[:12]}:{FILE_NAME}", text


def _text(file: Path) -> str:
    return read_bytes(file).decode("utf-8", "surrogateescape")


def _undeclared(repository: Repository, sha: str) -> Rejected:
    return Rejected(
        f"{repository.location} has no {FILE_NAME} at {sha[:12]}",
        code="no_services",
        path="repo",
        hint="Declare `services` there: how each is built, run and probed.",
    )


async def foresee_all(
    reads: Reads,
    repository: Repository,
    *,
    ref: str = "",
    service: str = "",
    environment: str = "",
    assumed: Traffic | None = None,
) -> ReleasesForeseen:
    """Return what a release of a commit would do in each of its places, in their order.

    `ref` empty is the base branch, `assumed` traffic counts instead of what is known. Raises
    `Rejected` or `Refused`.
    """
    named = ref or repository.base
    sha = commit_of(repository.location, named)
    config = _config_at(repository, sha)
    places = chosen(config.services, service, environment)
    if not places:
        raise _nowhere(config, service, environment)
    found, untouched = [], []
    for name, where in places:
        place = Place(repository=repository, service=name, environment=where)
        current, anchor = await reads.served(place.target)
        if anchor and not _touches(repository, config, name, anchor.sha, sha):
            untouched.append(place.target)
            continue
        rps, base_rate = await reads.recent_traffic(place.target)
        told = foresee(
            config.services[name],
            name,
            where,
            traffic=assumed or Traffic(rps=rps, base_rate=base_rate),
            anchor=anchor,
            first=current is None and anchor is None,
        )
        found.append(told.but(target=place.target))
    return ReleasesForeseen(
        repository=repository.location,
        ref=named.removeprefix("refs/heads/"),
        sha=sha,
        releases=tuple(found),
        untouched=tuple(untouched),
    )


def _config_at(repository: Repository, sha: str) -> RepoConfig:
    text = repository.config_file or file_at(repository.location, sha, FILE_NAME)
    if text is None:
        raise _undeclared(repository, sha)
    config = read_repo_config(text, f"{sha[:12]}:{FILE_NAME}")
    if not config.services:
        raise _undeclared(repository, sha)
    return config


def _touches(repository: Repository, config: RepoConfig, name: str, before: str, sha: str) -> bool:
    """Return whether a release would do anything; what cannot be compared does."""
    changed = changed_paths(repository.location, before, sha)
    return changed is None or name in touched_services(config.services, changed)


def _nowhere(config: RepoConfig, service: str, environment: str) -> Rejected:
    places = ", ".join(f"{name}/{where}" for name, where in chosen(config.services))
    return Rejected(
        f"No service is declared as {service or '*'}/{environment or '*'}",
        code="unknown_service",
        path="service",
        hint=f"Declared are {places}.",
    )
