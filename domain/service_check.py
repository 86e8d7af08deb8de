"""Services as a whole: what no single field can say is wrong, and what follows from a change."""

import re
from collections.abc import Iterator, Mapping
from itertools import combinations, pairwise

from domain.globs import covered
from domain.graph import cycle, topological
from domain.record import Record
from domain.secret_scan import secrets_in
from domain.service import Service, Strategy
from domain.service_steps import plan_steps as plan_steps

Services = Mapping[str, Service]
Place = tuple[str | int, ...]

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_EVERYWHERE = ("", "0.0.0.0", "::", "*")
_PORT = "{port}"


class Flaw(Record):
    """What is wrong, and where below `services`; never repeats what may be a secret."""

    code: str
    path: Place
    text: str
    hint: str = ""


def flaws(services: Services) -> tuple[Flaw, ...]:
    """Return all that is wrong with the services of a repository."""
    found = [*_needs(services), *_ports(services)]
    for name, service in services.items():
        own = (*_run(service), *_secrets(service), *_judged(service), *_strategies(service))
        found += [flaw.but(path=(name, *flaw.path)) for flaw in own]
    return tuple(found)


def _needs(services: Services) -> Iterator[Flaw]:
    for name, service in services.items():
        for at, needed in enumerate(service.needs):
            if needed not in services:
                known = ", ".join(services)
                text = f"no service is called {needed!r}"
                yield Flaw(code="unknown_service", path=(name, "needs", at), text=text,
                           hint=f"declared are {known}")  # fmt: skip
    if found := cycle(_graph(services)):
        text = f"services need each other: {found}"
        yield Flaw(code="cyclic", path=(found.split(" ")[0], "needs"), text=text)


def _graph(services: Services) -> dict[str, tuple[str, ...]]:
    return {
        name: tuple(need for need in dict.fromkeys(each.needs) if need in services)
        for name, each in services.items()
    }


def _ports(services: Services) -> Iterator[Flaw]:
    """One port is one service's: on this machine everywhere, elsewhere in one environment."""
    declared = [
        (name, where, environment)
        for name, service in services.items()
        for where, environment in service.environments.items()
        if environment.port
    ]
    for (first, here, one), (second, there, other) in combinations(declared, 2):
        meet = here == there or one.driver == other.driver == "local"
        if meet and one.port == other.port and _same_host(one.host, other.host):
            text = f"port {one.port} is already that of {first} in {here}"
            place = (second, "environments", there, "port")
            yield Flaw(code="port_taken", path=place, text=text, hint="choose another one")


def _same_host(one: str, other: str) -> bool:
    return one == other or one in _EVERYWHERE or other in _EVERYWHERE


def _run(service: Service) -> Iterator[Flaw]:
    if not service.run[0].strip():
        yield Flaw(code="no_program", path=("run", 0), text="the name of the program is empty")
    if any(_PORT in word for word in (*service.run, *service.env.values())):
        return
    for name, environment in service.environments.items():
        started = environment.driver != "command"  # that one starts instances its own way
        if started and not any(_PORT in word for word in environment.env.values()):
            text = f"nothing tells it in {name} on which port to listen"
            hint = 'write {port} into run or env, for example env: {PORT: "{port}"}'
            yield Flaw(code="no_port", path=("run",), text=text, hint=hint)


def _secrets(service: Service) -> Iterator[Flaw]:
    for at, name in enumerate(service.secrets):
        if not _NAME.fullmatch(name):
            text = "should be the name of a variable, not a value"
            hint = "write the name alone; the value comes from the environment of the workers"
            yield Flaw(code="secret_value", path=("secrets", at), text=text, hint=hint)
    yield from _values(service.env, ("env",), service.secrets)
    for where, environment in service.environments.items():
        yield from _values(environment.env, ("environments", where, "env"), service.secrets)


def _values(env: Mapping[str, str], place: Place, secrets: tuple[str, ...]) -> Iterator[Flaw]:
    for name, value in env.items():
        if name in secrets:
            text = f"{name} is one of the secrets, so its value must not stand here"
            yield Flaw(code="secret_value", path=(*place, name), text=text)
        elif secrets_in(f"{name}={value}"):
            yield Flaw(
                code="secret_value",
                path=(*place, name),
                text=f"the value of {name} looks like a credential",
                hint=f"name {name} under secrets instead",
            )


def _judged(service: Service) -> Iterator[Flaw]:
    if not service.paths:
        text = "without paths no change is ever deployed"
        yield Flaw(code="no_paths", path=("paths",), text=text, hint='paths: ["**"] covers all')
    if not service.errors and not service.slow.objective_ms:
        text = "nothing is left by which a release could fail"
        yield Flaw(code="nothing_judged", path=("errors",), text=text,
                   hint="name errors, or an objective under slow")  # fmt: skip
    names: set[str] = set()
    for at, metric in enumerate(service.analysis.metrics):
        place = ("analysis", "metrics", at)
        if metric.name in names:
            text = f"there are two metrics {metric.name!r}"
            yield Flaw(code="duplicate_metric", path=(*place, "name"), text=text)
        names.add(metric.name)
        if metric.source != "command" and not metric.url:
            text = f"a metric from {metric.source} needs a url"
            yield Flaw(code="no_url", path=place, text=text)


def _strategies(service: Service) -> Iterator[Flaw]:
    yield from _strategy(service.strategy, ("strategy",))
    for name, environment in service.environments.items():
        if environment.strategy:
            yield from _strategy(environment.strategy, ("environments", name, "strategy"))


def _strategy(strategy: Strategy, place: Place) -> Iterator[Flaw]:
    yield from _steps(strategy, (*place, "steps"))
    if strategy.on_inconclusive == "promote" and not strategy.promote_mde:
        text = "to promote without evidence needs promote_mde: how blind a step may have been"
        yield Flaw(code="no_promote_mde", path=(*place, "on_inconclusive"), text=text,
                   hint="for example promote_mde: 3, a threefold error share at most")  # fmt: skip


def _steps(strategy: Strategy, place: Place) -> Iterator[Flaw]:
    steps = strategy.steps
    if not steps:
        return
    if strategy.kind != "canary":
        text = f"only a canary has steps, and this is {strategy.kind}"
        yield Flaw(code="no_canary", path=place, text=text)
        return
    for at, (one, other) in enumerate(pairwise(steps), start=1):
        if other.weight <= one.weight:
            text = f"weights must grow, but {other.weight:g} follows {one.weight:g}"
            yield Flaw(code="not_increasing", path=(*place, at, "weight"), text=text)
    if steps[-1].weight != 100:
        text = f"the last step must be 100 per cent, not {steps[-1].weight:g}"
        yield Flaw(code="not_complete", path=(*place, len(steps) - 1, "weight"), text=text)
    for at, step in enumerate(steps):
        if round(step.weight * 100, 6) % 1:
            text = f"{step.weight:g} is finer than a hundredth of a per cent"
            yield Flaw(code="too_fine", path=(*place, at, "weight"), text=text)


def in_order(services: Services) -> tuple[str, ...]:
    """Return the names so that each comes after its needs; undo goes the other way round.

    Raises `Rejected` with code `cyclic`.
    """
    return topological(_graph(services))


def touched_services(services: Services, changed_paths: tuple[str, ...]) -> tuple[str, ...]:
    """Return the services that a change deploys, each after those that it needs."""
    return tuple(
        name for name in in_order(services) if covered(changed_paths, services[name].paths)
    )


def release_words(released: Service, judged: Service | None) -> Service:
    """Return a service as it is released: what runs is of the released commit, what judges of
    the last one that passed, so that a change cannot soften its own judgement.

    Where none has passed yet, all is of the released commit.
    """
    if judged is None:
        return released
    return released.but(
        strategy=judged.strategy,
        analysis=judged.analysis,
        errors=judged.errors,
        slow=judged.slow,
        environments=judged.environments,
    )


def softened(released: Service, judged: Service | None) -> tuple[str, ...]:
    """Return the fields that a commit changes but that count only from its next release on."""
    effective = release_words(released, judged)
    return tuple(
        name
        for name in ("strategy", "analysis", "errors", "slow", "environments")
        if getattr(effective, name) != getattr(released, name)
    )


def judging_words(services: Services) -> tuple[str, ...]:
    """Return the words of the commands that move or judge a release, without a leading `./`.

    Those that are files of the repository are protected: they come from the released commit, and
    a change must not soften its own judgement there either.
    """
    lines = (line for service in services.values() for line in _judging_lines(service))
    words = (word.strip("'\"").removeprefix("./") for line in lines for word in line.split())
    return tuple(dict.fromkeys(word for word in words if word))


def _judging_lines(service: Service) -> Iterator[str]:
    strategies = [service.strategy, *(each.strategy for each in service.environments.values())]
    for strategy in strategies:
        yield strategy.smoke if strategy else ""
    for environment in service.environments.values():
        yield from environment.command
    for metric in service.analysis.metrics:
        if metric.source == "command":
            yield metric.query
