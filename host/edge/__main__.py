"""`python -m host.edge --state DIR --admin SOCKET [--inherit FD] [--limit NAME=VALUE ...]`."""

import argparse
import asyncio
import gc
import resource
import signal
import socket
import sys
from collections.abc import Sequence
from pathlib import Path

import uvloop

from host.edge.admin import Admin
from host.edge.edge import Edge
from host.edge.folder import Folder
from host.edge.limits import Limits
from host.edge.orders import Refused
from host.edge.problems import Problems
from host.supervisor.address import bind_door


def main(argv: Sequence[str] | None = None) -> int:
    """Serve until TERM or INT; return 0 after that, 2 where it can not begin."""
    arguments = _parser().parse_args(argv)
    try:
        limits = Limits().but(tuple(arguments.limit))
        folder = Folder(arguments.state)
        _allow_files(limits)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_serve(folder, limits, _listener(arguments)))
    except Refused as refused:
        print(f"edge: {refused.message}. {refused.hint}", file=sys.stderr)
        return 2
    except (OSError, ValueError) as error:
        print(f"edge: can not serve from {arguments.state}: {error}", file=sys.stderr)
        return 2
    return 0


async def _serve(folder: Folder, limits: Limits, listener: socket.socket) -> None:
    problems = Problems(folder.path / "edge.log")
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: problems.tell("fault", _told(context)))
    edge = Edge(folder, limits, problems)
    edge.load()
    end = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, end.set)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    gc.freeze()  # what is here now stays
    gc.set_threshold(20_000, 20, 50)  # requests leave no cycles behind
    admin = asyncio.create_task(Admin(edge).serve(listener))
    await end.wait()
    admin.cancel()
    listener.close()
    await edge.stop()


def _told(context: dict[str, object]) -> str:
    error = context.get("exception")
    return f"{context.get('message')}: {error!r}"


def _listener(arguments: argparse.Namespace) -> socket.socket:
    if arguments.inherit is not None:
        return socket.socket(fileno=arguments.inherit)
    return bind_door(arguments.admin)


def _allow_files(limits: Limits) -> None:
    """Allow as many files as we may have; each request needs two."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = limits.connections * 2 + 256
    most = wanted if hard == resource.RLIM_INFINITY else min(hard, wanted)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m host.edge", description=__doc__)
    parser.add_argument("--state", type=Path, required=True, help="folder of routes and counts")
    parser.add_argument("--admin", type=Path, required=True, help="UNIX socket to listen on")
    parser.add_argument("--inherit", type=int, help="descriptor of it, already listening")
    parser.add_argument("--limit", action="append", default=[], metavar="NAME=VALUE")
    return parser


if __name__ == "__main__":
    sys.exit(main())
