"""Artifacts: stored once under their digest, checked when read."""

import asyncio
import os

import pytest

from domain.errors import Misconfigured, Rejected, Unavailable
from domain.record import ArtifactRef, digest
from integrations.artifacts import ArtifactFiles


@pytest.fixture
def artifacts(tmp_path) -> ArtifactFiles:
    return ArtifactFiles(tmp_path / "artifacts")


async def test_gives_back_what_was_put(artifacts):
    ref = await artifacts.put(b"a log", "text/x-log")

    assert ref == ArtifactRef(sha256=digest(b"a log"), size=5, media_type="text/x-log")
    assert await artifacts.get(ref) == b"a log"


async def test_stores_the_same_bytes_once_for_their_owner_only(artifacts, tmp_path):
    await asyncio.gather(*(artifacts.put(b"a log") for _ in range(8)))

    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert [path.name for path in files] == [digest(b"a log")]
    assert files[0].stat().st_mode & 0o777 == 0o600


async def test_finds_a_changed_artifact_and_mends_it_when_put_again(artifacts, tmp_path):
    ref = await artifacts.put(b"a log")
    next(path for path in tmp_path.rglob("*") if path.is_file()).write_bytes(b"a lie")

    with pytest.raises(Rejected) as refused:
        await artifacts.get(ref)
    await artifacts.put(b"a log")

    assert refused.value.problem.code == "artifact_corrupt"
    assert await artifacts.get(ref) == b"a log"


async def test_says_which_artifact_is_missing(artifacts):
    with pytest.raises(Rejected) as refused:
        await artifacts.get(ArtifactRef(sha256="0" * 64, size=1))

    assert refused.value.problem.code == "artifact_missing"


async def test_never_leaves_its_folder(artifacts):
    with pytest.raises(Rejected) as refused:
        await artifacts.get(ArtifactRef(sha256="../../../../etc/passwd", size=1))

    assert refused.value.problem.code == "bad_digest"


async def test_says_when_its_folder_cannot_be_used(tmp_path):
    (tmp_path / "file").write_text("in the way")

    with pytest.raises(Misconfigured) as refused:
        await ArtifactFiles(tmp_path / "file").put(b"a log")

    assert refused.value.problem.code == "artifact_folder"


async def test_a_full_disk_is_said_and_leaves_nothing_behind(artifacts, tmp_path, monkeypatch):
    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)

    with pytest.raises(Unavailable) as refused:
        await artifacts.put(b"a log")

    assert refused.value.problem.code == "disk_full"
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
