"""The operations of the deterministic builtin agent, as data."""

from typing import Annotated, Literal

from pydantic import Field

from domain.record import Record


class AddFile(Record):
    """Write a new file from text; the same text already there is no edit."""

    op: Literal["add_file"] = "add_file"
    path: str
    text: str


class DeleteFile(Record):
    op: Literal["delete_file"] = "delete_file"
    path: str


Operation = Annotated[AddFile | DeleteFile, Field(discriminator="op")]
