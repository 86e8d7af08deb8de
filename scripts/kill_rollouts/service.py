"""What is released: a small web service, in releases that are good and bad in several ways."""

import json
from typing import Any, NamedTuple

NAME, ENVIRONMENT = "web", "production"

# It answers over kept connections, and says by itself how it goes wrong.
PROGRAM = """import asyncio, json, os, random, sys

SAYS = json.load(open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "release.json")))
if SAYS["kind"] == "crashes at start":
    sys.exit("this release does not start")
served = 0


class Talk(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport, self.data = transport, b""

    def data_received(self, data):
        self.data += data
        while b"\\r\\n\\r\\n" in self.data:
            head, _, self.data = self.data.partition(b"\\r\\n\\r\\n")
            status, text = answer(head.split(b" ", 2)[1].decode())
            body = text.encode()
            self.transport.write(
                b"HTTP/1.1 %d Told\\r\\nContent-Length: %d\\r\\n\\r\\n" % (status, len(body)) + body
            )
            if b"connection: close" in head.lower():
                self.transport.close()


def answer(path):
    global served
    if path == "/ready":
        return (503, "not yet") if SAYS["kind"] == "never ready" else (200, "ready")
    if path == "/health":
        return 200, "well"
    served += 1
    if SAYS["kind"] == "crashes under load" and served > SAYS["after"]:
        os._exit(3)
    if random.random() < SAYS["errors"]:
        return 500, "a bad release"
    return 200, SAYS["name"]


async def main():
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Talk, "127.0.0.1", int(sys.argv[1]))
    await server.serve_forever()


asyncio.run(main())
"""


class Kind(NamedTuple):
    """A sort of release: how often it comes, and the states in which its rollout may end."""

    often: int
    ends: tuple[str, ...]


PASSED, UNDONE, FAILED, HELD = "passed", "undone", "failed", "held"
KINDS = {
    "good": Kind(50, (PASSED, UNDONE)),  # undone only where kills speak against it
    "bad answers": Kind(22, (UNDONE,)),
    "crashes under load": Kind(10, (UNDONE,)),
    "crashes at start": Kind(7, (FAILED,)),
    "never ready": Kind(6, (FAILED,)),
    "holds what was undone": Kind(5, (HELD,)),
}


def release(name: str, kind: str, errors: float) -> str:
    """Return the file that tells the program which release it is."""
    says = {"name": name, "kind": kind, "errors": errors, "after": 8}
    return json.dumps(says, indent=1) + "\n"


def declaration(port: int, replicas: int) -> str:
    """Return the repository's `.slipway.yaml`, with a strategy of seconds."""
    service: dict[str, Any] = {
        "run": ["python3", "service.py", "{port}"],
        "replicas": replicas,
        "ready": {"path": "/ready", "interval": 0.2, "timeout": 1, "deadline": 2.5},
        "health": {"path": "/health", "interval": 1, "timeout": 1},
        "limits": {"restarts": 3},
        "drain": 5,
        "strategy": {
            "steps": [{"weight": 20, "hold": 2.5}, {"weight": 100, "hold": 0}],
            "hold_cap": 30,
            "bake": 3,
            "keep_old": 1,
            "on_inconclusive": "rollback",
        },
        "analysis": {"tick": 0.5, "min_requests": 15},
        "environments": {ENVIRONMENT: {"port": port}},
    }
    return json.dumps({"schema": "slipway.repo/1", "services": {NAME: service}}, indent=1) + "\n"
