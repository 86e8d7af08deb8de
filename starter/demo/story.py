"""The story: start what is needed, deliver three ideas, two of them under load, keep account."""

import asyncio
from pathlib import Path

from config.settings import Settings
from domain.errors import Unavailable
from domain.record_view import IdeaRecord
from domain.rollout import RolloutState
from starter.background import start_up
from starter.codes import Exit
from starter.demo import HURTS, IDEA, PASSES
from starter.demo.customers import Customers, customers
from starter.demo.printing import calm, intro, outro, tell_chapter
from starter.demo.repository import free_port, make_repository
from starter.demo.told import Chapter, Told, as_hoped, moments, verdict
from starter.following import at_first_wait, follow
from starter.hosting import Host
from starter.intake import Wanted, take
from starter.lookup import open_reads
from starter.place import settings
from starter.reads import Reads
from starter.release_report import write_report
from starter.starting import begin
from starter.telling import emit, note

RATE = 150.0  # requests per second
_PATIENCE = 600.0  # seconds for an idea


def run(*, as_json: bool) -> int:
    """Tell the whole story, on the terminal or as one document; the exit code says if it held."""
    chosen = settings()
    note(intro(RATE))
    note("\n1  slipway up: a Temporal server, its web UI, the workers and the host, on loopback")
    start_up(chosen, note)
    story = asyncio.run(_tell(chosen, as_json=as_json))
    if as_json:
        emit(story)
    else:
        outro(story)
    return Exit.DONE if story.well else Exit.OTHER


async def _tell(chosen: Settings, *, as_json: bool) -> Told:
    state = await Host(chosen.home).status()
    port = free_port(state.targets.values() if state else ())
    repository = make_repository(chosen.home / "demo", port)
    note(f"2  a small service in a bare repository: {repository}")
    reads = open_reads(chosen)
    try:
        return await Demo(chosen, reads, repository, port, as_json=as_json).play()
    finally:
        await reads.close()


class Demo:
    """One run, chapter by chapter; it ends early where one does not go as it should."""

    def __init__(
        self, chosen: Settings, reads: Reads, repository: Path, port: int, *, as_json: bool
    ) -> None:
        self._chosen = chosen
        self._reads = reads
        self._repository = repository
        self._port = port
        self._silent = as_json
        self._chapters: tuple[Chapter, ...] = ()

    async def play(self) -> Told:
        """Return what it came to."""
        note(f"3  an idea, whose release is the first one to serve: {IDEA}")
        if not await self._deliver(IDEA):
            return self._told()
        note(f"4  customers: {RATE:g} requests/s to http://127.0.0.1:{self._port}, from now on")
        counted = -await self._counted()
        async with customers(self._repository.parent, self._port, RATE) as load:
            await load.serve(self._under_load())
            return await self._settled(load, counted)

    async def _under_load(self) -> None:
        note(f"5  a second idea, released to some of the customers first: {PASSES}")
        if await self._deliver(PASSES):
            note(f"6  a third idea, which passes all gates and hurts customers: {HURTS}")
            await self._deliver(HURTS)

    async def _settled(self, load: Customers, counted: int) -> Told:
        """Close the account: the edge counts nothing of ours any more, and no answer is missing."""
        account = await load.end()
        counted += await self._counted()
        return self._told().but(
            account=account,
            counted=counted,
            checks=verdict(self._chapters, account, counted),
            moments=moments(self._chapters[-1], account),
            reports=await self._reports(),
        )

    def _told(self) -> Told:
        url = f"http://127.0.0.1:{self._port}"
        return Told(chapters=self._chapters, repository=str(self._repository), url=url)

    async def _deliver(self, file: Path) -> bool:
        """Carry an idea to its end, show it; whether all is as it should be so far."""
        idea = take(Wanted(file=str(file), repo=str(self._repository))).idea
        begun = await begin(self._chosen, self._reads, idea, again=False)
        record = await self._followed(begun.key)
        rollouts = [await self._reads.rollout(line.rollout) for line in record.rollouts]
        chapter = Chapter(idea=record, rollouts=tuple(rollouts))
        self._chapters = (*self._chapters, chapter)
        if not self._silent:
            tell_chapter(chapter, whole=len(self._chapters) == 1)
        return as_hoped(self._chapters)

    async def _followed(self, key: str) -> IdeaRecord:
        try:
            async with asyncio.timeout(_PATIENCE):
                return await follow(self._chosen, self._reads, key, calm(), at_first_wait)
        except TimeoutError as error:
            raise Unavailable(
                f"{key} has not ended within {_PATIENCE:g} s; on a quick machine it takes 40",
                code="demo_late",
                path=key,
                hint=f"It goes on: `slipway idea watch {key}`; `slipway release list` says more.",
            ) from error

    async def _counted(self) -> int:
        """Return how many requests the edge has begun, of all releases of the target."""
        target = self._chapters[0].rollouts[0].target
        _, counts = await Host(self._chosen.home).sockets.observe(target, 0)
        return sum(each.started for each in counts)

    async def _reports(self) -> tuple[str, ...]:
        """Write a report of each release; the one that was undone comes first."""
        told = [each for chapter in self._chapters for each in chapter.rollouts]
        told.sort(key=lambda each: each.state is RolloutState.PASSED)
        folder = self._repository.parent
        return tuple(
            [
                (await write_report(self._chosen, each.rollout, folder / f"{each.tag}.html")).file
                for each in told
            ]
        )
