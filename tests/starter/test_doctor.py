import shutil
import stat
from collections import namedtuple
from pathlib import Path

import pytest

from config.settings import Settings
from starter.doctor import Check, examine


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A PATH with git alone; a test adds what it is about."""
    for name in ("TEMPORAL_ADDRESS", "TEMPORAL_PROFILE", "TEMPORAL_CONFIG_FILE"):
        monkeypatch.delenv(name, raising=False)
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "git").symlink_to(shutil.which("git") or "")
    monkeypatch.setenv("PATH", str(folder))
    return folder


def program(path: Path, text: str) -> None:
    path.unlink(missing_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


def looked_at(tmp_path: Path, **changes: object) -> dict[str, Check]:
    chosen = Settings(home=tmp_path / "home", cache=tmp_path / "cache", **changes)
    return {check.name: check for check in examine(chosen).checks}


def test_a_machine_with_what_is_needed_is_healthy_before_the_first_start(
    tools: Path, tmp_path: Path
):
    found = looked_at(tmp_path)

    assert not [check for check in found.values() if check.state == "lack"]
    assert found["server"].hint == "Start it: `slipway up`."
    assert "no ideas yet" in found["database"].found


def test_without_git_it_says_what_to_install(tools: Path, tmp_path: Path):
    (tools / "git").unlink()

    found = looked_at(tmp_path)["git"]

    assert (found.state, found.hint) == ("lack", "Install git >= 2.39.")


def test_an_old_git_is_a_lack(tools: Path, tmp_path: Path):
    program(tools / "git", "echo git version 2.30.2")

    assert looked_at(tmp_path)["git"].state == "lack"


def test_without_bubblewrap_it_warns_and_works(tools: Path, tmp_path: Path):
    found = looked_at(tmp_path)["sandbox"]

    assert (found.state, found.found) == ("warning", "tier limits: no `bwrap` on PATH")


def test_bubblewrap_that_does_not_work_is_no_tier(tools: Path, tmp_path: Path):
    program(tools / "bwrap", "echo no namespaces >&2; exit 1")

    assert "no namespaces" in looked_at(tmp_path)["sandbox"].found


def test_a_tier_below_the_minimum_is_a_lack(tools: Path, tmp_path: Path):
    assert looked_at(tmp_path, minimum_tier="bwrap")["sandbox"].state == "lack"


def test_a_named_binary_that_is_none_is_a_lack_with_its_name(tools: Path, tmp_path: Path):
    found = looked_at(tmp_path, temporal_bin="/nonexistent")["binary"]

    assert found.state == "lack"
    assert "SLIPWAY_TEMPORAL_BIN names /nonexistent" in found.found


def test_a_server_that_does_not_answer_is_a_lack(
    tools: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("TEMPORAL_ADDRESS", "127.0.0.1:1")

    found = looked_at(tmp_path)["server"]

    assert found.state == "lack"
    assert "127.0.0.1:1 does not answer" in found.found


@pytest.mark.parametrize(("free", "state"), [(10**8, "lack"), (2**31, "warning"), (2**40, "ok")])
def test_a_full_disk_is_seen_before_it_hurts(
    tools: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: int, state: str
):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(2**41, 0, free))

    assert looked_at(tmp_path)["disk"].state == state


def test_a_database_that_cannot_be_read_is_a_lack(tools: Path, tmp_path: Path):
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "slipway.db").write_text("this is no database at all, not even nearly")

    assert looked_at(tmp_path)["database"].state == "lack"


def test_a_password_in_the_database_url_is_not_shown(tools: Path, tmp_path: Path):
    found = looked_at(tmp_path, database_url="postgresql+asyncpg://me:secret@127.0.0.1:1/x")

    assert "secret" not in "".join(check.found + check.hint for check in found.values())


@pytest.mark.parametrize(
    ("address", "version", "state"),
    [
        ("127.0.0.1:7233", "1.29.1", "warning"),
        ("temporal.example.org:7233", "1.29.1", "lack"),
        ("temporal.example.org:7233", "1.29.5", "ok"),
        ("temporal.example.org:7233", "1.30.2", "lack"),
        ("temporal.example.org:7233", "1.32.0", "ok"),
        ("127.0.0.1:7233", "1.28.4", "lack"),
    ],
)
def test_servers_with_known_holes_are_told(address: str, version: str, state: str):
    from starter.doctor import _judged_version

    assert _judged_version(address, version, own=False).state == state
