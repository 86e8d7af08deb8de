"""The work of one operation: the tree it edits, and the evidence it leaves."""

from domain.agent import Edit
from integrations.builtin.document import Document
from integrations.builtin.edits import counted
from integrations.builtin.order import Note
from integrations.builtin.tree import Tree


class Work:
    """What a handler is given; it edits through `put`, so that each edit is evidence."""

    def __init__(self, op: str, tree: Tree, *, ruff: str = "") -> None:
        self.op = op
        self.tree = tree
        self.ruff = ruff
        self.edits: list[Edit] = []
        self.notes: list[Note] = []

    def put(self, path: str, old: Document, text: str, count: int = 1) -> None:
        """Replace a file's text; the same text is no edit."""
        if text == old.text:
            return
        try:
            self.put_bytes(path, old.encode(text), count)
        except UnicodeEncodeError:
            self.note(path, f"left alone: its encoding {old.encoding} has no letter for the edit")

    def put_bytes(
        self, path: str, data: bytes | None, count: int = 1, *, executable: bool = False
    ) -> None:
        """Write a file, or delete it (None); the same bytes are no edit."""
        before = self.tree.read(path)
        if before == data:
            return
        if data is None:
            self.tree.delete(path)
        else:
            self.tree.write(path, data, executable=executable)
        inserted, deleted = counted(before, data)
        self.edits.append(
            Edit(op=self.op, path=path, insertions=inserted, deletions=deleted, count=count)
        )

    def note(self, path: str, text: str) -> None:
        """Say what was left alone."""
        self.notes.append(Note(op=self.op, path=path, text=text))
