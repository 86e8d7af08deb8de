"""The keeper: owner of one command, between a worker and everything that it runs.

Standard library only, run by path (`python -I -S keeper.py`), so that it starts in a few
milliseconds and shares nothing with the worker. The order is one JSON line on stdin, the outcome
one JSON line on stdout. End of file on stdin means that the worker is gone or has cancelled: the
whole tree is ended. The keeper is a subreaper, so daemons (setsid, double fork) become its
children; `waitpid` failing with ECHILD proves that nothing is left.

When the keeper itself is killed with SIGKILL, the direct child dies with it (PR_SET_PDEATHSIG),
in a pid namespace everything below too. Without one, other descendants live until the next run
that holds the same lock file finds them by their mark in the environment; a process that has
cleared its environment and left the tree is the residue.
"""

import ctypes
import fcntl
import json
import os
import resource
import select
import selectors
import signal
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER, PR_SET_NO_NEW_PRIVS = 1, 36, 38
POLL = 0.1  # seconds between two looks at the tree: the overshoot of memory and process count
GRACE = 2.0  # seconds from TERM to KILL
BRIEF = 0.2  # the same for what outlives a command that ended by itself
GRACES = {"exited": BRIEF, "memory": 0.0, "processes": 0.0}  # a bomb gets no time to grow
PATIENCE = 30.0  # seconds that killed processes may take to vanish (uninterruptible I/O)
CHUNK = 65_536
LINE = 65_536  # longest event line
FORWARD = 4_000  # longest event line told to the worker: below PIPE_BUF, so writes are atomic
FORWARD_RATE = 50  # events told to the worker per second; the file has them all
SPARE = 4_096  # processes and threads that our user may start beyond those that run already
MARK = "SLIPWAY_RUN"
# The byte on descriptor 3 comes when the keeper has written down whom it started; a shell whose
# keeper died before reads end of file and never starts the command. Then 3 is for events.
START = 'IFS= read -r go <&3 && [ "$go" = GO ] || exit 125; unset go; exec 3>&4 4>&-; exec "$@"'

libc = ctypes.CDLL(None, use_errno=True)


class Seen(NamedTuple):
    """One process as /proc/PID/stat shows it; `rss` in pages, `start` in ticks since boot."""

    pid: int
    parent: int
    group: int
    state: str
    start: int
    rss: int


def look(pid: int | str) -> Seen | None:
    """Return what is known of a process; None when it is gone."""
    try:
        text = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return None
    rest = text[text.rindex(b")") + 2 :].split()
    return Seen(
        int(pid), int(rest[1]), int(rest[2]), rest[0].decode(), int(rest[19]), int(rest[21])
    )


def everybody() -> Iterator[Seen]:
    for name in os.listdir("/proc"):  # noqa: PTH208 - ten times a second, names are enough
        if name.isdigit() and (seen := look(name)):
            yield seen


def descendants(root: int) -> list[Seen]:
    """Return the living processes below `root`, zombies left out."""
    children: dict[int, list[Seen]] = {}
    for seen in everybody():
        children.setdefault(seen.parent, []).append(seen)
    found: list[Seen] = []
    todo = [root]
    while todo:
        below = children.get(todo.pop(), [])
        todo += [seen.pid for seen in below]
        found += [seen for seen in below if seen.state not in "ZX"]
    return found


def is_init(pid: int) -> bool:
    """Whether a process is number 1 of a namespace below ours: part of the wrapper."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return True  # gone already, like the namespace that it held
    return "\nNSpid:" in status and status.split("\nNSpid:")[1].splitlines()[0].endswith("\t1")


def send(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except OSError:
        return  # gone, or (setuid) not ours to signal


def send_group(group: int, number: int) -> None:
    """Signal a whole group: atomic against forks, which signalling one by one is not."""
    if group > 1 and group != os.getpgrp():
        with suppress(OSError):
            os.killpg(group, number)


def newest_change(folder: str) -> float:
    """Return the newest change time below a folder, as wall-clock seconds (links not followed)."""
    newest = 0.0
    todo = [folder]
    while todo:
        try:
            entries = list(os.scandir(todo.pop()))
        except OSError:
            continue
        for entry in entries:
            try:
                newest = max(newest, entry.stat(follow_symlinks=False).st_ctime)
                if entry.is_dir(follow_symlinks=False):
                    todo.append(entry.path)
            except OSError:
                continue
    return newest


class Spool:
    """A file that keeps the head and the tail of what is written, and drops the middle."""

    def __init__(self, path: str, cap: int) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
        self._fd = os.open(path, flags, 0o600)
        self._room = cap // 2
        self._tail: deque[bytes] = deque()
        self._tail_cap = cap - cap // 2
        self._tail_size = 0
        self.dropped = 0

    def write(self, data: bytes) -> None:
        head, rest = data[: self._room], data[self._room :]
        if head:
            self._store(head)
            self._room -= len(head)
        if rest:
            self._tail.append(rest)
            self._tail_size += len(rest)
            self._trim()

    def _trim(self) -> None:
        while self._tail_size > self._tail_cap:
            excess = self._tail_size - self._tail_cap
            first = self._tail.popleft()
            cut = min(excess, len(first))
            self.dropped += cut
            self._tail_size -= cut
            if cut < len(first):
                self._tail.appendleft(first[cut:])

    def _store(self, data: bytes) -> None:
        try:
            while data:
                data = data[os.write(self._fd, data) :]
        except OSError:  # disk full: the command must not hang on our log
            self.dropped += len(data)

    def close(self) -> None:
        if self.dropped:
            self._store(f"\n[... {self.dropped} bytes dropped ...]\n".encode())
        for part in self._tail:
            self._store(part)
        os.close(self._fd)


class Events:
    """The JSON lines that the command writes on descriptor 3: all kept, some told."""

    def __init__(self, spool: Spool | None, tell: Callable[[bytes], None]) -> None:
        self._spool = spool
        self._tell = tell
        self._buffer = b""
        self._window = 0.0
        self._told = 0
        self.count = 0

    def feed(self, data: bytes) -> None:
        *lines, self._buffer = (self._buffer + data).split(b"\n")
        if len(self._buffer) > LINE:
            self._buffer = b""
        for line in lines:
            self._take(line)

    def _take(self, line: bytes) -> None:
        try:
            event = json.loads(line) if len(line) <= LINE else None
        except (ValueError, RecursionError):
            event = None
        if not isinstance(event, dict):
            return
        self.count += 1
        if self._spool:
            self._spool.write(line + b"\n")
        told = json.dumps({"event": event}).encode() + b"\n"
        if len(told) <= FORWARD and self._allowed():
            self._tell(told)

    def _allowed(self) -> bool:
        now = time.monotonic()
        if now - self._window >= 1:
            self._window, self._told = now, 0
        self._told += 1
        return self._told <= FORWARD_RATE

    def close(self) -> None:
        if self._spool:
            self._spool.close()


class Claim:
    """A lock file that says who runs; taking it ends whoever holds it and what that one left."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._fd = -1
        self.evicted = 0

    def take(self, gone: Callable[[float], bool]) -> bool:
        """Wait for the lock, asking its holder to stop; false when `gone` says to give up."""
        asked = 0.0
        while not self._try():
            if time.monotonic() - asked > 1:
                asked = time.monotonic()
                self._ask_holder()
            if gone(0.02):
                return False
        self.evicted = end_marked(self._read())
        return True

    def _try(self) -> bool:
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        if self._fd < 0:
            self._fd = os.open(self._path, flags, 0o600)
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if Path(self._path).stat().st_ino == os.fstat(self._fd).st_ino:
                return True
        except BlockingIOError:
            return False
        except FileNotFoundError:
            pass
        os.close(self._fd)  # the file was removed meanwhile: take the new one
        self._fd = -1
        return False

    def _read(self) -> dict[str, Any]:
        try:
            record = json.loads(os.pread(self._fd, CHUNK, 0) or b"{}")
        except ValueError:
            return {}
        return record if record.get("boot") == boot_id() else {}

    def _ask_holder(self) -> None:
        record = self._read()
        seen = look(record.get("keeper", 0))
        if seen and seen.start == record.get("keeper_start"):
            send(seen.pid, signal.SIGTERM)

    def write(self, child: int, mark: str) -> None:
        keeper, started = look(os.getpid()), look(child)
        record = {
            "boot": boot_id(),
            "keeper": os.getpid(),
            "keeper_start": keeper.start if keeper else 0,
            "child": child,
            "child_start": started.start if started else 0,
            "mark": mark,
        }
        os.ftruncate(self._fd, 0)
        os.pwrite(self._fd, json.dumps(record).encode(), 0)

    def clear(self) -> None:
        os.ftruncate(self._fd, 0)


def hurry() -> None:
    """Get ahead of a crowd: among a thousand that want to run, one look took 25 s.

    What we start does not inherit it. Not permitted without privileges: there RLIMIT_NPROC holds.
    """
    with suppress(OSError):
        realtime = os.SCHED_RR | os.SCHED_RESET_ON_FORK
        os.sched_setscheduler(0, realtime, os.sched_param(1))


def limit_processes() -> None:
    """Cap what our user may start; the kernel exempts root, for whom only the poll counts."""
    uid, count = os.getuid(), 0
    for seen in everybody() if uid else ():
        with suppress(OSError):
            folder = Path(f"/proc/{seen.pid}")
            count += len(os.listdir(folder / "task")) if folder.stat().st_uid == uid else 0  # noqa: PTH208
    _, hard = resource.getrlimit(resource.RLIMIT_NPROC)
    wanted = count + SPARE
    if uid and (hard == resource.RLIM_INFINITY or wanted < hard):
        resource.setrlimit(resource.RLIMIT_NPROC, (wanted, wanted))


def boot_id() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def end_marked(record: dict[str, Any]) -> int:
    """Kill what a keeper that died left behind; return how many processes that were."""
    ended: set[int] = set()
    deadline = time.monotonic() + PATIENCE
    while record and time.monotonic() < deadline:
        found = [seen.pid for seen in everybody() if seen.state not in "ZX" and left(seen, record)]
        if not found:
            break
        ended.update(found)
        for number in (signal.SIGSTOP, signal.SIGKILL):
            for pid in found:
                send(pid, number)
        time.sleep(0.01)
    return len(ended)


def left(seen: Seen, record: dict[str, Any]) -> bool:
    if seen.pid == record.get("child"):
        return bool(seen.start == record.get("child_start"))
    try:
        environment = Path(f"/proc/{seen.pid}/environ").read_bytes()
    except OSError:
        return False
    return f"{MARK}={record.get('mark')}".encode() in environment.split(b"\0")


def pipe() -> tuple[int, int]:
    """Return a pipe whose descriptors are out of the way of those that the child gets."""
    moved = []
    for fd in os.pipe():
        moved.append(fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 20))
        os.close(fd)
    return moved[0], moved[1]


class Keeper:
    """Runs one command under its limits and ends every process that came of it."""

    def __init__(self, order: dict[str, Any], control: "Control") -> None:
        self._order = order
        self._limits = order["limits"]
        self._control = control
        cap = int(self._limits["output_bytes"])
        self._output = Spool(order["output"], cap)
        kept = Spool(order["events"], cap) if order["events"] else None
        self._events = Events(kept, control.tell)
        self._selector = selectors.DefaultSelector()
        self._child = 0
        self._status: int | None = None
        self._started = self._active = time.monotonic()
        self._looked = self._started
        self._tree: list[Seen] = []
        self._peak = 0  # bytes

    def run(self, claim: Claim | None) -> dict[str, Any]:
        """Return the outcome; when this returns, no process of the command is left."""
        output, child_output = pipe()
        events, child_events = pipe()
        go, child_go = pipe()[::-1]
        self._child = self._spawn(child_go, child_output, child_events)
        for fd in (child_go, child_output, child_events):
            os.close(fd)
        self._listen(output, self._output.write)
        self._listen(events, self._events.feed)
        self._selector.register(self._control.fd, selectors.EVENT_READ, None)
        self._selector.register(os.pidfd_open(self._child), selectors.EVENT_READ, None)
        if claim:
            claim.write(self._child, self._order["mark"])
        self._go(go)
        ended = self._watch()
        leftovers, remaining = self._sweep(GRACES.get(ended, GRACE))
        return self._outcome(ended if not remaining else "lost", leftovers, claim)

    def _go(self, fd: int) -> None:
        with suppress(BrokenPipeError):  # the shell could not even start: its status will tell
            os.write(fd, b"GO\n")
        os.close(fd)

    def _spawn(self, go: int, output: int, events: int) -> int:
        pid = os.fork()
        if pid:
            return pid
        try:
            self._become_command(go, output, events)
        except OSError as error:
            os.write(2, f"cannot start in {self._order['folder']}: {error}\n".encode())
        finally:
            os._exit(126)

    def _become_command(self, go: int, output: int, events: int) -> None:
        os.setsid()
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if not self._order["wrapped"]:
            libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
        for source, target in (
            (os.open(os.devnull, os.O_RDONLY), 0), (output, 1), (output, 2), (go, 3), (events, 4),
        ):  # fmt: skip
            os.dup2(source, target)
        for ignored in (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGINT, signal.SIGHUP):
            signal.signal(ignored, signal.SIG_DFL)  # Python ignores two of them, we the others
        size = int(self._limits["file_bytes"])
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        limit_processes()
        with suppress(OSError):  # when memory runs out, rather the command than the worker
            Path("/proc/self/oom_score_adj").write_text("1000")
        os.umask(0o022)
        os.chdir(self._order["folder"])
        argv = ["/bin/sh", "-c", START, "slipway", *self._order["argv"]]
        os.execve("/bin/sh", argv, self._order["env"])

    def _listen(self, fd: int, take: Callable[[bytes], None]) -> None:
        os.set_blocking(fd, False)
        self._selector.register(fd, selectors.EVENT_READ, take)

    def _pump(self, seconds: float) -> None:
        """Move what the command has written, for at most about `seconds`."""
        for key, _ in self._selector.select(seconds):
            if key.data is None:
                continue
            data = read(key.fd)
            if data:
                self._active = time.monotonic()
                key.data(data)
            elif data is not None:
                self._selector.unregister(key.fd)

    def _watch(self) -> str:
        """Wait until the command ends or must be ended; say which."""
        while True:
            self._pump(POLL)
            self._reap()
            if self._status is not None:
                return "exited"
            if self._control.gone(0):
                return "cancelled"
            if over := self._exceeded():
                return over

    def _exceeded(self) -> str:
        now = time.monotonic()
        if now - self._started > self._limits["wall_seconds"]:
            return "timeout_wall"
        idle = self._limits["idle_seconds"]
        if idle and now - self._active > idle and not self._changed(idle):
            return "timeout_idle"
        if now - self._looked < POLL:
            return ""
        self._tree = descendants(os.getpid())
        self._looked = time.monotonic()
        memory = sum(seen.rss for seen in self._tree) * resource.getpagesize()
        self._peak = max(self._peak, memory)
        if memory > self._limits["memory_mib"] * 1024 * 1024:
            return "memory"
        return "processes" if len(self._tree) > self._limits["processes"] else ""

    def _changed(self, idle: float) -> bool:
        """Files are looked at only when output and events have been silent for long enough."""
        age = time.time() - newest_change(self._order["folder"])
        if age >= idle:
            return False
        self._active = time.monotonic() - max(age, 0)
        return True

    def _reap(self) -> bool:
        """Collect the dead; true when there is no child left, dead or alive."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return True
            if pid == 0:
                return False
            if pid == self._child:
                self._status = os.waitstatus_to_exitcode(status)

    def _sweep(self, grace: float) -> tuple[int, int]:
        """End the whole tree; return how many outlived the command, and how many could not end."""
        exited = self._status is not None
        if not grace:  # at once, by what was seen last: each further look gives a bomb time
            for group in {self._child, *(seen.group for seen in self._tree)}:
                send_group(group, signal.SIGKILL)
        found = descendants(os.getpid()) if grace else []
        if exited and self._order["wrapped"]:
            found = [seen for seen in found if not is_init(seen.pid)]
        for seen in found:
            # The wrapper ends its namespace at once when it gets TERM: its insides go first.
            if not (self._order["wrapped"] and seen.pid == self._child):
                send(seen.pid, signal.SIGTERM)
        self._until_gone(grace, ())
        remaining = 0
        if not self._until_gone(PATIENCE, (signal.SIGSTOP, signal.SIGKILL)):
            remaining = len(descendants(os.getpid()))
        self._drain()
        return len(found) if exited else 0, remaining

    def _until_gone(self, seconds: float, signals: tuple[int, ...]) -> bool:
        """Wait for the end of the tree; stop all before killing any, so that none can fork on."""
        deadline = time.monotonic() + seconds
        while not self._reap():
            if time.monotonic() > deadline:
                return False
            for number in signals:
                for group in {seen.group for seen in descendants(os.getpid())}:
                    send_group(group, number)
            self._drain()
            time.sleep(0.005)
        return True

    def _drain(self) -> None:
        """Take what lies in the pipes now, at most 64 MiB (others may hold a descriptor)."""
        for _ in range(1_024):
            before = self._active
            self._pump(0)
            if self._active == before:
                return

    def _outcome(self, ended: str, leftovers: int, claim: Claim | None) -> dict[str, Any]:
        self._output.close()
        self._events.close()
        if claim:
            claim.clear()
        largest = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
        return {
            "ended": ended,
            "exit_code": self._status,
            "seconds": round(time.monotonic() - self._started, 3),
            "output": self._order["output"],
            "truncated": self._output.dropped > 0,
            "peak_memory_mib": -(-max(self._peak, largest) // 1024**2),
            "leftovers": leftovers,
            "events": self._events.count,
            "evicted": claim.evicted if claim else 0,
        }


def read(fd: int) -> bytes | None:
    """Return what a non-blocking descriptor holds: empty at its end, None when nothing is there."""
    try:
        return os.read(fd, CHUNK)
    except BlockingIOError:
        return None


class Control:
    """The two pipes to the worker: the order and the end come in, events and outcome go out."""

    def __init__(self, fd: int, out: int) -> None:
        self.fd = fd
        self._out = out
        self._stopped = False
        signal.signal(signal.SIGTERM, self._stop)
        for ignored in (signal.SIGINT, signal.SIGHUP):
            signal.signal(ignored, signal.SIG_IGN)

    def _stop(self, number: int, frame: FrameType | None) -> None:
        self._stopped = True

    def order(self) -> dict[str, Any] | None:
        """Read the order; None when the worker is gone before it was complete."""
        text = b""
        while not text.endswith(b"\n"):
            data = os.read(self.fd, CHUNK)
            if not data:
                return None
            text += data
        os.set_blocking(self.fd, False)
        order: dict[str, Any] = json.loads(text)
        return order

    def gone(self, seconds: float) -> bool:
        """Whether the command must end: the worker closed its side, or we were asked to stop."""
        if select.select([self.fd], [], [], seconds)[0] and read(self.fd) == b"":
            self._stopped = True
        return self._stopped

    def tell(self, line: bytes) -> None:
        """Pass an event on, or drop it when the worker does not read: limits go first."""
        os.set_blocking(self._out, False)
        try:
            os.write(self._out, line)
        except OSError:
            return

    def conclude(self, outcome: dict[str, Any]) -> None:
        os.set_blocking(self._out, True)
        try:
            os.write(self._out, json.dumps({"outcome": outcome}).encode() + b"\n")
        except OSError:
            return  # nobody is left to hear it


def main() -> int:
    control = Control(0, 1)
    order = control.order()
    if order is None:
        return 0
    libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    hurry()
    claim = Claim(order["lock"]) if order["lock"] else None
    if claim and not claim.take(control.gone):
        return 0
    if not order["argv"]:  # only to end what another run has left
        control.conclude({"ended": "exited", "evicted": claim.evicted if claim else 0})
        return 0
    control.conclude(Keeper(order, control).run(claim))
    return 0


if __name__ == "__main__":
    sys.exit(main())
