"""A process that appends facts, COUNT times or until it is killed: URL NAME COUNT."""

import asyncio
import sys

from domain.fact import BaseResolved
from integrations.database import Database
from tests.facts import facts, start


async def main(url: str, name: str, count: int) -> None:
    database = Database(url, busy_seconds=30)
    await database.register(start(name))
    print("ready", flush=True)
    sys.stdin.readline()
    for number in range(count):
        told = (BaseResolved(base_sha=f"{number}", notes=("x" * 500,)),) * 3
        await database.append(facts(f"{name}/{number}", *told, key=name))
        print(number, flush=True)
    await database.close()


asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
