"""The processes of this machine as proc(5) shows them: who is who, and who belongs to whom."""

import os
from collections.abc import Collection, Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

MARK = "SLIPWAY_MARK"  # in the environment of an instance and of all that it starts
_PAGE = os.sysconf("SC_PAGE_SIZE")


class Identity(NamedTuple):
    """What tells a process from a later one with the same number, also after a reboot."""

    boot: str
    pid: int
    start: int  # ticks since boot


class Seen(NamedTuple):
    """One line of /proc/PID/stat."""

    pid: int
    state: str
    parent: int
    group: int
    session: int
    start: int  # ticks since boot
    rss: int  # bytes
    threads: int

    @property
    def ended(self) -> bool:
        """Whether only its exit code is left.

        A dead first thread whose other threads are still ending holds files and ports like any.
        """
        return self.state in ("Z", "X") and self.threads <= 1


@cache
def boot_id() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def look(pid: int | str) -> Seen | None:
    """Return what is known of a process; None when it is gone."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:  # noqa: PTH123 - hundreds of times in a row
            text = file.read()
    except OSError:
        return None
    # The name may hold spaces and brackets; the fields begin after the last bracket.
    rest = text[text.rindex(b")") + 2 :].split()
    return Seen(
        int(pid), rest[0].decode(), int(rest[1]), int(rest[2]), int(rest[3]),
        int(rest[19]), int(rest[21]) * _PAGE, int(rest[17]),
    )  # fmt: skip


def everybody() -> Iterator[Seen]:
    """Return all processes, those too that have ended and were not reaped."""
    for name in os.listdir("/proc"):  # noqa: PTH208 - names are enough
        if name.isdigit() and (seen := look(name)):
            yield seen


def identity(pid: int) -> Identity | None:
    """Return who has this number now; None when nobody, or one that has ended."""
    seen = look(pid)
    return None if seen is None or seen.ended else Identity(boot_id(), pid, seen.start)


def lives(who: Identity) -> bool:
    """Whether this very process still runs."""
    return identity(who.pid) == who


def working_in(folder: Path, word: str) -> list[Identity]:
    """Return the living processes in this folder whose command has this word."""
    found = []
    for seen in everybody():
        try:
            words = Path(f"/proc/{seen.pid}/cmdline").read_bytes().split(b"\0")
            there = Path(f"/proc/{seen.pid}/cwd").readlink()
        except OSError:
            continue
        if not seen.ended and there == folder and word.encode() in words:
            found.append(Identity(boot_id(), seen.pid, seen.start))
    return found


def _mark(pid: int) -> str:
    """Return the mark that a process inherited; empty: none, or we may not look."""
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:  # noqa: PTH123
            words = file.read().split(b"\0")
    except OSError:
        return ""
    name = f"{MARK}=".encode()
    return next((word[len(name) :].decode() for word in words if word.startswith(name)), "")


class Census:
    """All processes at one moment; marks are read once per process."""

    def __init__(self) -> None:
        self._marks: dict[tuple[int, int], str] = {}
        self._everyone: dict[int, Seen] = {}

    def take(self) -> None:
        """Look at all processes anew."""
        self._everyone = {seen.pid: seen for seen in everybody()}
        self._marks = {
            (seen.pid, seen.start): self._marks.get((seen.pid, seen.start)) or _mark(seen.pid)
            for seen in self._everyone.values()
        }

    def orphans(self) -> list[int]:
        """Return our children that have ended and wait to be reaped."""
        ours = os.getpid()
        return [seen.pid for seen in self._everyone.values() if seen.parent == ours and seen.ended]

    def family(
        self, root: Identity | None, mark: str, known: Collection[Identity] = ()
    ) -> list[Seen]:
        """Return the living processes of an instance, wherever they went.

        They are in the session of its first process, carry its mark, were seen below it before,
        or descend from one of these. One that left the session, cleared its environment and lost
        its parent before anybody looked is not found.
        """
        session = self._session(root)
        found = {
            seen.pid
            for seen in self._everyone.values()
            if (session and session in (seen.session, seen.group))
            or self._marks[seen.pid, seen.start] == mark
            or Identity(boot_id(), seen.pid, seen.start) in known
        }
        self._add_descendants(found)
        found.discard(os.getpid())
        return [self._everyone[pid] for pid in found if not self._everyone[pid].ended]

    def _session(self, root: Identity | None) -> int:
        """Return the number of an instance's session; 0 when a stranger has it by now."""
        if root is None or root.boot != boot_id():
            return 0
        holder = self._everyone.get(root.pid)
        return root.pid if holder is None or holder.start == root.start else 0

    def _add_descendants(self, found: set[int]) -> None:
        children: dict[int, list[int]] = {}
        for seen in self._everyone.values():
            children.setdefault(seen.parent, []).append(seen.pid)
        todo = list(found)
        while todo:
            fresh = [pid for pid in children.get(todo.pop(), ()) if pid not in found]
            found.update(fresh)
            todo += fresh


def proportional(pids: Iterable[int]) -> int:
    """Return the memory of processes in bytes, what they share counted once (smaps_rollup)."""
    return sum(map(_proportional, pids))


def _proportional(pid: int) -> int:
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return 0
    return sum(int(line.split()[1]) * 1024 for line in text.splitlines() if line[:4] == "Pss:")
