import itertools
import os
import stat
from pathlib import Path

import pytest

from config.settings import Settings
from domain.errors import Misconfigured, Unavailable
from starter import server
from starter.server import GO_MODULE, build, find, obtain, search_attributes, start_argv


@pytest.fixture
def bare_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A PATH with nothing but what a test puts there."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    for name in ("SLIPWAY_TEMPORAL_BIN", "TEMPORAL_ADDRESS"):
        monkeypatch.delenv(name, raising=False)
    return folder


def program(path: Path, text: str = "#!/bin/sh\n") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def settings(tmp_path: Path, **changes: object) -> Settings:
    return Settings(home=tmp_path / "home", cache=tmp_path / "cache", **changes)


def fake_go(folder: Path, body: str) -> None:
    program(folder / "go", f"#!/bin/sh\nexport PATH=/usr/bin:/bin\n{body}\n")


BUILDS = f"""
test "$1" = install || exit 9
case "$*" in *"{GO_MODULE}"*) ;; *) exit 8 ;; esac
mkdir -p "$GOBIN"
printf '#!/bin/sh\\necho built\\n' > "$GOBIN/temporal"
chmod +x "$GOBIN/temporal"
"""


def test_the_named_binary_comes_first(tmp_path: Path, bare_path: Path):
    program(bare_path / "temporal")
    named = program(tmp_path / "mine" / "temporal")

    found = find(settings(tmp_path, temporal_bin=str(named)))

    assert found is not None
    assert (named, "SLIPWAY_TEMPORAL_BIN") == (found.path, found.origin)


def test_a_named_binary_that_cannot_run_is_an_error(tmp_path: Path, bare_path: Path):
    with pytest.raises(Misconfigured, match="SLIPWAY_TEMPORAL_BIN names /none"):
        find(settings(tmp_path, temporal_bin="/none"))


def test_path_comes_before_the_cache(tmp_path: Path, bare_path: Path):
    chosen = settings(tmp_path)
    cached = program(server._cached(chosen))

    before = find(chosen)
    program(bare_path / "temporal")
    after = find(chosen)

    assert before is not None
    assert after is not None
    assert (cached, "cache", "PATH") == (before.path, before.origin, after.origin)


def test_nothing_is_found_on_a_fresh_machine(tmp_path: Path, bare_path: Path):
    assert find(settings(tmp_path)) is None


def test_a_missing_binary_is_built_once_and_then_found(
    tmp_path: Path, bare_path: Path, monkeypatch: pytest.MonkeyPatch
):
    fake_go(bare_path, BUILDS)
    monkeypatch.setattr(server, "_download", refuse_download)
    chosen, told = settings(tmp_path), []

    built = obtain(chosen, told.append)
    again = obtain(chosen, told.append)

    assert (built.origin, again.origin) == ("go install", "cache")
    assert os.access(built.path, os.X_OK)
    assert any("not reachable" in line for line in told)
    assert sorted(path.name for path in built.path.parent.iterdir()) == ["fetch.lock", "temporal"]


def test_what_was_downloaded_is_kept(
    tmp_path: Path, bare_path: Path, monkeypatch: pytest.MonkeyPatch
):
    async def fetch(folder: str) -> None:
        (Path(folder) / "temporal-sdk-python-1").write_text("#!/bin/sh\n")

    monkeypatch.setattr(server, "_download", fetch)

    binary = obtain(settings(tmp_path), lambda _: None)

    assert binary.origin == "download"
    assert os.access(binary.path, os.X_OK)


def test_when_no_way_works_all_ways_are_listed(
    tmp_path: Path, bare_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(server, "_download", refuse_download)

    with pytest.raises(Unavailable, match=r"not reachable.*no `go` on PATH") as caught:
        obtain(settings(tmp_path), lambda _: None)

    for way in ("TEMPORAL_ADDRESS", "SLIPWAY_TEMPORAL_BIN", "PATH", "download", "Go"):
        assert way in caught.value.problem.hint


def test_a_failed_build_says_the_last_line_of_go(tmp_path: Path, bare_path: Path):
    fake_go(bare_path, "echo 'go: downloading x v1'; echo 'no route to host' >&2; exit 1")

    with pytest.raises(RuntimeError, match="no route to host"):
        build(tmp_path / "cache" / "temporal", lambda _: None)

    assert list((tmp_path / "cache").iterdir()) == []


def test_a_long_build_tells_how_far_it_is(tmp_path: Path, bare_path: Path):
    # The build goes on when the first line of progress was told.
    go_on = tmp_path / "go-on"
    os.mkfifo(go_on)
    fake_go(bare_path, f"echo 'go: downloading x v1'; echo example.org/x; cat {go_on};{BUILDS}")
    told: list[str] = []

    def tell(line: str) -> None:
        told.append(line)
        if "packages compiled" in line and len(told) == 2:
            go_on.write_text("now")

    build(tmp_path / "cache" / "temporal", tell, beat_seconds=0.05)

    assert "1 packages compiled" in told[1]


def test_the_server_is_tuned_on_loopback_with_a_file_and_our_attributes(tmp_path: Path):
    argv = start_argv(
        Path("/bin/temporal"),
        port=7,
        ui_port=8,
        database=tmp_path / "t.db",
        attributes=search_attributes(),
    )

    pairs = list(itertools.pairwise(argv))
    assert ("--ip", "127.0.0.1") in pairs
    assert ("--db-filename", str(tmp_path / "t.db")) in pairs
    assert ("--dynamic-config-value", "history.transferProcessorMaxPollRPS=2000") in pairs
    assert ("--sqlite-pragma", "journal_mode=wal") in pairs
    assert ("--search-attribute", "SlipwayLabels=KeywordList") in pairs
    assert argv.count("--search-attribute") == 15


async def refuse_download(folder: str) -> None:
    raise RuntimeError("the vendor is not reachable\nand more")
