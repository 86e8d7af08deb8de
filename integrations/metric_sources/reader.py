"""The reader of all metrics of a rollout; what cannot be read is told, and is no reading."""

import asyncio
import logging
from collections.abc import Callable, Iterable
from pathlib import Path
from statistics import fmean

import httpx2

from domain.deployment import Instance, Observation, Place
from domain.rollout import RolloutPlan
from domain.service import MetricSource
from domain.shifting import of_rollout
from integrations.gates.ports import Commands
from integrations.metric_sources.command import ask_command
from integrations.metric_sources.endpoint import ask_endpoint
from integrations.metric_sources.prometheus import ask_prometheus
from integrations.metric_sources.reading import CannotRead, Reading, filled, same_unit
from integrations.metric_sources.web import client

LONGEST = 5.0  # seconds for one metric, and never more than four fifths of a tick
_MOST_TOLD = 1_000

Pair = tuple[float, float]  # control, canary
ReleaseOf = Callable[[Place, str], Path | None]


def _log(sentence: str) -> None:
    logging.getLogger(__name__).warning(sentence)


class MetricReader:
    """Asks for each instance that is ready, and averages per side; never ends a rollout."""

    def __init__(
        self, commands: Commands, release_of: ReleaseOf, tell: Callable[[str], None] = _log
    ) -> None:
        """`release_of` finds the folder in which commands run, if there is one on this host."""
        self._commands = commands
        self._release_of = release_of
        self._tell = tell
        self._told: dict[tuple[str, str], str] = {}

    async def read(self, plan: RolloutPlan, observation: Observation) -> dict[str, Pair]:
        """Return control and canary by metric; one that cannot be read is absent.

        The control is the average over all instances that are not of the rollout; a first install
        has none, so nothing is read.
        """
        sources = plan.setup.analysis.metrics
        if not sources or plan.first:
            return {}
        async with client() as web:
            look = _Look(plan, observation, self._commands, self._release_of, web)
            asked = (look.pair(source) for source in sources)
            answers = await asyncio.gather(*asked, return_exceptions=True)
        found: dict[str, Pair] = {}
        for source, answer in zip(sources, answers, strict=True):
            if isinstance(answer, BaseException):
                self._complain(plan, source.name, _why(answer, look.seconds))
            else:
                self._told.pop((plan.rollout, source.name), None)
                found[source.name] = answer
        return found

    def complaints(self, rollout: str) -> dict[str, str]:
        """Return why metrics of a rollout could not be read the last time, a sentence by name."""
        return {name: text for (of, name), text in self._told.items() if of == rollout}

    def _complain(self, plan: RolloutPlan, name: str, why: str) -> None:
        """Tell it, once for as long as it stays the same."""
        key, sentence = (plan.rollout, name), f"{name} {why}"
        if self._told.get(key) == sentence:
            return
        while len(self._told) >= _MOST_TOLD:
            self._told.pop(next(iter(self._told)))
        self._told[key] = sentence
        self._tell(f"{plan.place.target}, rollout {plan.rollout}: {sentence}")


class _Look:
    """One tick: who is there, and how long there is to ask."""

    def __init__(
        self,
        plan: RolloutPlan,
        seen: Observation,
        commands: Commands,
        release_of: ReleaseOf,
        web: httpx2.AsyncClient,
    ) -> None:
        ready = [each for each in seen.instances if each.state == "ready"]
        self._canary = [each for each in ready if of_rollout(plan.rollout, each.instance)]
        self._control = [each for each in ready if each not in self._canary]
        self._plan = plan
        self._commands = commands
        self._release_of = release_of
        self._web = web
        self.seconds = min(LONGEST, plan.setup.analysis.tick * 0.8)

    async def pair(self, source: MetricSource) -> Pair:
        """Return both sides of a metric; raises `CannotRead`, or whatever went wrong."""
        questions = self._questions(source)
        # What is the same question for several instances, as one per version, is asked once.
        distinct = {text: instance for instance, text in questions.items()}
        async with asyncio.timeout(self.seconds):
            asked = (self._ask(source, instance) for instance in distinct.values())
            answers = await asyncio.gather(*asked, return_exceptions=True)
        readings = [_sound(answer) for answer in answers]
        same_unit(source, tuple(readings))
        values = {text: each.value for text, each in zip(distinct, readings, strict=True)}

        def average(side: Iterable[Instance]) -> float:
            return fmean(values[questions[each]] for each in side)

        return average(self._control), average(self._canary)

    def _questions(self, source: MetricSource) -> dict[Instance, str]:
        for side, name in ((self._control, "stable release"), (self._canary, "new release")):
            if not side:
                raise CannotRead(f"has no instance of the {name} to ask for")
        text = source.url + source.query
        questions = {each: filled(text, each) for each in (*self._control, *self._canary)}
        if {questions[each] for each in self._canary} & {questions[each] for each in self._control}:
            raise CannotRead("asks the same for both sides: it needs {instance}, {address}, "
                             "{version} or {sha}")  # fmt: skip
        return questions

    async def _ask(self, source: MetricSource, instance: Instance) -> Reading:
        match source.source:
            case "prometheus":
                return await ask_prometheus(source, instance, self._web)
            case "http":
                return await ask_endpoint(source, instance, self._web)
            case "command":
                folder = self._release_of(self._plan.place, self._plan.sha)
                return await ask_command(source, instance, self._commands, folder, self.seconds)


def _sound(answer: Reading | BaseException) -> Reading:
    if isinstance(answer, BaseException):
        raise answer
    return answer


def _why(error: BaseException, seconds: float) -> str:
    if isinstance(error, CannotRead):
        return str(error)
    if isinstance(error, TimeoutError):
        return f"did not come within {seconds:g} s"
    return f"could not be read: {error!r}"[:500]
