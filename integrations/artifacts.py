"""Artifacts: what is too big for a history, in files named by their own digest."""

import asyncio
import errno
import os
import secrets
from pathlib import Path

from domain.errors import Misconfigured, Rejected, Unavailable
from domain.record import ArtifactRef, digest


class ArtifactFiles:
    """Files in one folder, readable by their owner only; the same bytes are stored once.

    Raises `Unavailable` (code `disk_full`), `Misconfigured` (the folder cannot be used) and
    `Rejected` (codes `artifact_missing`, `artifact_corrupt`).
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def put(self, data: bytes, media_type: str = "text/plain") -> ArtifactRef:
        """Store `data` durably and return where it is."""
        sha256 = digest(data)
        await asyncio.to_thread(self._write, sha256, data)
        return ArtifactRef(sha256=sha256, size=len(data), media_type=media_type)

    async def get(self, ref: ArtifactRef) -> bytes:
        """Return the bytes of `ref`, which are checked against its digest."""
        return await asyncio.to_thread(self._read, ref)

    def _path(self, sha256: str) -> Path:
        if len(sha256) != 64 or not sha256.isalnum():
            raise Rejected(f"{sha256!r:.80} is not the digest of an artifact", code="bad_digest")
        return self._folder / sha256[:2] / sha256

    def _write(self, sha256: str, data: bytes) -> None:
        path = self._path(sha256)
        try:
            if _holds(path, sha256):
                return
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            _replace(path, data)
        except OSError as error:
            raise self._told(error) from error

    def _read(self, ref: ArtifactRef) -> bytes:
        try:
            data = self._path(ref.sha256).read_bytes()
        except FileNotFoundError as error:
            raise Rejected(
                f"The artifact {ref.sha256} is not in {self._folder}",
                code="artifact_missing",
                hint="Was the folder cleaned, or does another SLIPWAY_HOME hold it?",
            ) from error
        except OSError as error:
            raise self._told(error) from error
        if digest(data) != ref.sha256:
            raise Rejected(
                f"The artifact {ref.sha256} in {self._folder} was changed after it was stored",
                code="artifact_corrupt",
            )
        return data

    def _told(self, error: OSError) -> Unavailable | Misconfigured:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            return Unavailable(
                f"The disk of the artifact folder {self._folder} is full",
                code="disk_full",
                hint="Make room; it is tried again.",
            )
        return Misconfigured(
            f"The artifact folder {self._folder} cannot be used: {error.strerror}",
            code="artifact_folder",
            hint="Check its owner and its file system.",
        )


def _holds(path: Path, sha256: str) -> bool:
    """Return whether the whole artifact is there; a damaged one is written again."""
    return path.exists() and digest(path.read_bytes()) == sha256


def _replace(path: Path, data: bytes) -> None:
    # Written aside and renamed, so that nobody ever reads a part, also after a power cut
    aside = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
