"""What a release would do, said before anything starts: where, in which steps, how long."""

from collections.abc import Mapping

from domain.deployment import FULL, Capabilities
from domain.judge import mde, setup_for
from domain.record import Record
from domain.rollout import PlannedStep, Served
from domain.service import Environment, Service
from domain.service_check import in_order, release_words, softened
from domain.service_steps import chosen_strategy, plan_steps


class Traffic(Record):
    """What a target serves usually; 0 and 0: nobody knows."""

    rps: float = 0  # requests per second
    base_rate: float = 0  # share of bad answers


class ForeseenRelease(Record):
    """One service on its way to one environment."""

    service: str
    environment: str
    driver: str
    address: str = ""
    target: str = ""
    kind: str
    steps: tuple[PlannedStep, ...]
    later: tuple[PlannedStep, ...] = ()  # of a first install: the steps of those that follow
    bake_s: float
    seconds: float  # of all holds and the bake, if each step has its evidence in time
    longest_s: float  # the same, if each step waits for evidence as long as it may
    traffic: Traffic = Traffic()
    anchor: str = ""  # tag or commit to come back to; empty: a first install
    notes: tuple[str, ...] = ()


def foresee(
    service: Service,
    name: str,
    environment: str,
    *,
    traffic: Traffic | None = None,
    anchor: Served | None = None,
    first: bool = False,
) -> ForeseenRelease:
    """Return what a release of `service`, as it stands in its commit, would do here.

    On a `first` install there is nothing to come back to and nothing to compare with: all traffic
    at once, then the bake.
    """
    judged = anchor.service if anchor else None
    words = release_words(service, judged)
    place = words.environments.get(environment, service.environments[environment])
    strategy, traffic = chosen_strategy(words, place), traffic or Traffic()
    # A driver's own word counts when it runs; which of them keep no histogram is known before
    counts = Capabilities(name=place.driver, histogram=place.driver != "haproxy")
    setup = setup_for(words.but(strategy=strategy), counts, words.slow.objective_ms, first=first)
    usual = plan_steps(words, place, setup, traffic.rps, traffic.base_rate, mde)
    steps = (PlannedStep(index=0, weight=FULL, hold_s=0),) if first else usual
    caps = [max(step.hold_s, strategy.hold_cap) for step in steps if step.hold_s]
    return ForeseenRelease(
        service=name,
        environment=environment,
        driver=place.driver,
        address=f"{place.host}:{place.port}" if place.port else "",
        target=anchor.target if anchor else "",
        kind=strategy.kind,
        steps=steps,
        later=usual if first else (),
        bake_s=strategy.bake,
        seconds=sum(step.hold_s for step in steps) + strategy.bake,
        longest_s=sum(caps) + strategy.bake,
        traffic=traffic,
        anchor=(anchor.tag or anchor.sha[:12]) if anchor else "",
        notes=_notes(words, place, softened(service, judged), first),
    )


def _notes(
    words: Service, place: Environment, later: tuple[str, ...], first: bool
) -> tuple[str, ...]:
    strategy, notes = chosen_strategy(words, place), []
    if first:
        notes.append("first install: nothing to compare with, so all traffic at once")
    if later:
        named = ", ".join(later)
        notes.append(f"its changed {named} count from the next release on")
    if words.schema_change == "contract":
        notes.append("its schema change can not be undone: a bad release stands still instead")
    elif strategy.on_failure != "rollback":
        notes.append(f"a bad release is not undone by itself: on_failure is {strategy.on_failure}")
    if strategy.confirm:
        notes.append(f"a person says yes at: {', '.join(strategy.confirm)}")
    return tuple(notes)


def chosen(
    services: Mapping[str, Service], service: str = "", environment: str = ""
) -> tuple[tuple[str, str], ...]:
    """Return names of services and environments in the order of release; empty means all."""
    return tuple(
        (name, where)
        for name in in_order(services)
        for where in services[name].environments
        if service in ("", name) and environment in ("", where)
    )
