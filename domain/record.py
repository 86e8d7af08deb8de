"""Record: a frozen fact; ArtifactRef: a pointer to what is too big for a history."""

import hashlib
from typing import Self

from pydantic import BaseModel, ConfigDict


class Record(BaseModel):
    """A frozen fact.

    Unknown fields are ignored, so that a history written by a newer release still loads;
    documents that people write are read by `config.files`, which refuses them.
    """

    # Infinity travels as text: as JSON's null, which is the default, it could not be read again
    model_config = ConfigDict(frozen=True, extra="ignore", ser_json_inf_nan="strings")

    def but(self, **changes: object) -> Self:
        """Return a copy with these fields changed (values are not validated again)."""
        return self.model_copy(update=changes)


class ArtifactRef(Record):
    """Where the bytes of an artifact are: their own SHA-256 (hex), and their size in bytes."""

    sha256: str
    size: int
    media_type: str = "text/plain"


def digest(data: bytes) -> str:
    """Return the SHA-256 of `data` in hex (FIPS 180-4)."""
    return hashlib.sha256(data).hexdigest()
