"""Sandboxes: the bubblewrap command line, and proof of what a tier really holds."""

import sys
from collections.abc import Mapping
from pathlib import Path

from domain.command import CommandOrder

ETC = Path(__file__).parent / "sandbox_etc"
SYNTHETIC = ("passwd", "group", "hosts", "nsswitch.conf")
HARMLESS = (  # of the host's /etc: what programs need to start, and public tables
    "ld.so.cache", "ld.so.conf", "ld.so.conf.d", "alternatives", "mime.types", "protocols",
    "services", "localtime", "ssl/openssl.cnf",
)  # fmt: skip
ONLINE = ("resolv.conf", "ssl/certs", "ca-certificates", "pki/tls", "pki/ca-trust")
SYSTEM = ("bin", "sbin", "lib", "lib32", "lib64", "libx32")
MIB = 1024 * 1024


def bwrap_argv(bwrap: str, order: CommandOrder, env: Mapping[str, str]) -> tuple[str, ...]:
    """Return the command line that runs an order with nothing of the host but what it names.

    Folders keep their own paths, so that messages, byte code and coverage data agree inside and
    outside. Later mounts lie on earlier ones: readable first, then home, folder and writable.
    """
    return (
        bwrap, *isolation(order.network), *system(order), *etc(order.network),
        *(word for path in order.readable for word in ("--ro-bind", path, path)),
        *(
            word
            for path in (order.home, order.folder, *order.writable)
            for word in ("--bind", path, path)
        ),
        *(word for name, value in env.items() for word in ("--setenv", name, value)),
        "--remount-ro", "/", "--chdir", order.folder, "--", *order.argv,
    )  # fmt: skip


def isolation(network: bool) -> tuple[str, ...]:
    share = ("--share-net",) if network else ()
    return (
        "--unshare-all", "--unshare-user", *share, "--disable-userns", "--uid", "1000",
        "--gid", "1000", "--hostname", "slipway", "--cap-drop", "ALL", "--die-with-parent",
        "--new-session", "--clearenv",
    )  # fmt: skip


def system(order: CommandOrder) -> tuple[str, ...]:
    """The programs of the host, and fresh /proc, /dev, /tmp, /run; /tmp counts as memory."""
    size = str(max(64, order.limits.memory_mib // 2) * MIB)
    words = ["--ro-bind", "/usr", "/usr"]
    for name in SYSTEM:
        path = Path("/", name)
        if path.is_symlink():
            words += ["--symlink", str(path.readlink()), str(path)]
        elif path.exists():
            words += ["--ro-bind", str(path), str(path)]
    return (
        *words, "--proc", "/proc", "--dev", "/dev",
        "--size", size, "--tmpfs", "/tmp", "--size", str(16 * MIB), "--tmpfs", "/run",
    )  # fmt: skip


def etc(network: bool) -> tuple[str, ...]:
    """Users, hosts and name lookup are made up; nothing else of the host's /etc is seen."""
    words: list[str] = []
    for name in SYNTHETIC:
        words += ["--ro-bind", str(ETC / f"{name}.txt"), f"/etc/{name}"]
    for name in HARMLESS + (ONLINE if network else ()):
        # A link (resolv.conf) is followed here: its target is not mounted inside.
        words += ["--ro-bind-try", str(Path("/etc", name).resolve()), f"/etc/{name}"]
    return tuple(words)


def interpreter_paths(python: str = sys.executable) -> tuple[str, ...]:
    """Return the folders that an interpreter outside /usr needs: its environment, its origin."""
    environment = Path(python).absolute().parent.parent
    origin = Path(python).resolve().parent.parent
    found = dict.fromkeys(str(path) for path in (origin, environment))
    return tuple(path for path in found if not path.startswith("/usr"))


# Run inside the sandbox; prints what it could do. Each success is a claim that does not hold
# (but a write counts only if it is seen outside: private folders may be written).
PROBE = """
import json, os, signal, socket, sys
outside, port, name, pid = sys.argv[1], int(sys.argv[2]), sys.argv[3], int(sys.argv[4])
done = []
def attempt(claim, action):
    try:
        action()
        done.append(claim)
    except OSError:
        pass
def connect(family, address):
    with socket.socket(family) as end:
        end.settimeout(2)
        end.connect(address)
attempt("read", lambda: open(outside + "/secret").read())
attempt("write", lambda: open(outside + "/written", "w").close())
attempt("metadata", lambda: os.chmod(outside + "/secret", 0o777))
attempt("net", lambda: connect(socket.AF_INET, ("127.0.0.1", port)))
attempt("ipc", lambda: connect(socket.AF_UNIX, "\\0" + name))
attempt("signal", lambda: os.kill(pid, 0))
print(json.dumps(done))
"""
CLAIMS = ("read", "write", "metadata", "net", "ipc", "signal")
