"""Deployments: plan a rollout, build it, start it, move traffic to it, and clean up after it."""

import asyncio
from collections.abc import Callable
from typing import Protocol

from temporalio import activity

from activities.deployment_ports import Driver
from activities.heartbeat import beating
from activities.release_orders import BuildRelease as BuildRelease
from activities.release_orders import ChooseNext as ChooseNext
from activities.release_orders import Chosen as Chosen
from activities.release_orders import CureMerges as CureMerges
from activities.release_orders import EndInstances as EndInstances
from activities.release_orders import FindServices as FindServices
from activities.release_orders import FinishRollout as FinishRollout
from activities.release_orders import HookEnd as HookEnd
from activities.release_orders import PreparedRollout as PreparedRollout
from activities.release_orders import PruneReleases as PruneReleases
from activities.release_orders import QuarantineMerges as QuarantineMerges
from activities.release_orders import Replicas as Replicas
from activities.release_orders import RunHook as RunHook
from activities.release_orders import ServicesFound as ServicesFound
from activities.release_orders import Shifted as Shifted
from activities.release_orders import ShiftTraffic as ShiftTraffic
from activities.release_orders import StartReplicas as StartReplicas
from activities.release_orders import WarmUp as WarmUp
from activities.rollout_ports import Rollouts
from domain.deployment import (
    Artefact,
    BuildOrder,
    Capabilities,
    Inspection,
    Instance,
    Place,
    StartOrder,
    WeightOrder,
)
from domain.errors import Rejected, Unavailable
from domain.repo_config import RepoConfig
from domain.repository import Repository
from domain.rollout import Quarantined, Refusal, RolloutPlan, Served, StartRollout
from domain.rollout_plan import WEEK_MS, Known, deployed_at, planned
from domain.service import Environment, Service
from domain.service_check import touched_services
from domain.shifting import of_rollout, ready, serving, split, weight_of

HOOK_SECONDS = 600
KEPT_RELEASES = 5  # on disk, besides what is served
_LOOK_SECONDS = 0.1  # between two looks at an instance that starts

Drivers = Callable[[str], Driver]


class History(Protocol):
    """The forge's own history, which our object store holds only in part."""

    async def contains(self, repository: Repository, sha: str, ancestor: str) -> bool: ...
    async def merges(self, repository: Repository, after: str, sha: str) -> tuple[str, ...]:
        """Return the commits of the first-parent line after `after` up to `sha`, oldest first."""
        ...

    async def changed_paths(
        self, repository: Repository, after: str, sha: str
    ) -> tuple[str, ...]: ...
    async def config(self, repository: Repository, sha: str) -> RepoConfig | None:
        """Return the `.slipway.yaml` of a commit; raises `Refused` for a bad one."""
        ...


class Outcome(Protocol):
    @property
    def ok(self) -> bool: ...
    @property
    def reason(self) -> str: ...


class Shell(Protocol):
    async def run_hook(
        self, line: str, folder: str, env: dict[str, str], seconds: float
    ) -> Outcome: ...


class Visitor(Protocol):
    """Sends requests as a client would."""

    async def visit(self, url: str, count: int, rate: float) -> int:
        """Send `count` GET requests, `rate` per second; return how many were answered well.

        A rate of 0 is one after the other, without a pause.
        """
        ...

    async def keep_visiting(self, url: str, rate: float) -> None:
        """Send `rate` GET requests per second until cancelled."""
        ...


class Deployments:
    """What a rollout does to the world; each method may be repeated."""

    def __init__(
        self,
        drivers: Drivers,
        rollouts: Rollouts,
        history: History,
        shell: Shell,
        visitor: Visitor,
        now_ms: Callable[[], int],
    ) -> None:
        self._drivers = drivers
        self._rollouts = rollouts
        self._history = history
        self._shell = shell
        self._visitor = visitor
        self._now_ms = now_ms

    @activity.defn
    async def find_services(self, order: FindServices) -> ServicesFound:
        """Return where a change has to be deployed; no services means nowhere."""
        async with beating():
            repository = order.place.repository
            config = await self._history.config(repository, order.sha)
            if config is None or not config.services:
                return ServicesFound(note="the repository declares no services")
            paths = await self._history.changed_paths(repository, order.base_sha, order.sha)
            names = touched_services(config.services, paths)
            places = tuple(
                order.place.but(service=name, environment=environment)
                for name in names
                for environment in config.services[name].environments
            )
            since = self._now_ms() - WEEK_MS
            deployed = {
                place.target: deployed_at(await self._rollouts.rollouts_since(place.target, since))
                for place in places
            }
            note = "" if places else "no service is touched"
            return ServicesFound(places=places, deployed_at_ms=deployed, note=note)

    @activity.defn
    async def prepare_rollout(self, start: StartRollout) -> PreparedRollout:
        """Plan a rollout, or say why it must not begin."""
        async with beating():
            known = await self._known(start)
            made = planned(start, known)
            if isinstance(made, Refusal):
                return PreparedRollout(refusal=made)
            return PreparedRollout(plan=made)

    async def _known(self, start: StartRollout) -> Known:
        """Look up all that the plan depends on."""
        place, target = start.place, start.place.target
        config = await self._history.config(place.repository, start.sha)
        service = config.services.get(place.service) if config else None
        current, anchor = await self._rollouts.served(target)
        after = anchor.sha if anchor else ""
        rps, base_rate = await self._rollouts.recent_traffic(target)
        descends = not after or await self._history.contains(place.repository, start.sha, after)
        return Known(
            service=service,
            current=current,
            anchor=anchor,
            anchor_ready=await self._is_ready(place, anchor),
            descends=descends,
            merges=await self._history.merges(place.repository, after, start.sha)
            if descends and after
            else (start.sha,),
            poisoned=await self._poisoned(place.repository, start.sha),
            capabilities=self._capabilities(place, service),
            past=await self._rollouts.rollouts_since(target, self._now_ms() - WEEK_MS),
            rps=rps,
            base_rate=base_rate,
            now_ms=self._now_ms(),
        )

    async def _is_ready(self, place: Place, anchor: Served | None) -> bool:
        environment = anchor.service.environments.get(place.environment) if anchor else None
        if anchor is None or environment is None:
            return False
        seen = await self._drivers(environment.driver).inspect(place, environment)
        return bool(ready(seen.instances, anchor.rollout))

    def _capabilities(self, place: Place, service: Service | None) -> Capabilities | None:
        environment = service.environments.get(place.environment) if service else None
        return self._drivers(environment.driver).capabilities() if environment else None

    async def _poisoned(self, repository: Repository, sha: str) -> tuple[Quarantined, ...]:
        """Return the undone merges that this commit holds without their cure."""
        found = []
        for item in await self._rollouts.quarantined(repository.id):
            if not await self._history.contains(repository, sha, item.sha):
                continue
            cured = item.cure and await self._history.contains(repository, sha, item.cure)
            if not cured:
                found.append(item)
        return tuple(found)

    @activity.defn
    async def build_release(self, order: BuildRelease) -> Artefact:
        """Build the commit, once; raises `Rejected` with the end of the log when that fails."""
        plan = order.plan
        async with beating():
            return await self._driver(plan).build(
                BuildOrder(place=plan.place, sha=plan.sha, service=plan.service)
            )

    @activity.defn
    async def start_replicas(self, order: StartReplicas) -> Replicas:
        """Start all replicas and wait until each is ready; raises `Rejected` when one will not."""
        async with beating() as beat:
            plan, driver = order.plan, self._driver(order.plan)
            await ensure_anchor(driver, plan, beat)
            instances = await start_all(driver, _template(plan, order.artefact), beat)
            seen = await driver.inspect(plan.place, plan.environment)
            return Replicas(instances=instances, generation=seen.generation)

    @activity.defn
    async def run_hook(self, order: RunHook) -> HookEnd:
        """Run a shell line of the service; a failure is a result, never an error."""
        line = _line(order)
        env = {
            "SLIPWAY_ROLLOUT": order.plan.rollout,
            "SLIPWAY_TARGET": order.plan.place.target,
            "SLIPWAY_VERSION": order.plan.tag or order.plan.sha,
            "SLIPWAY_INSTANCE_URL": order.url,
            **order.plan.service.env,
            **order.plan.environment.env,
        }
        async with beating():
            end = await self._shell.run_hook(line, order.artefact.location, env, HOOK_SECONDS)
            return HookEnd(hook=order.hook, ok=end.ok, reason=end.reason)

    @activity.defn
    async def warm_up(self, order: WarmUp) -> int:
        """Send the instances requests before users do; return how many were answered well."""
        service, good = order.plan.service, 0
        async with beating():
            for instance in order.instances:
                url = f"http://{instance.address}{service.warmup.path}"
                good += await self._visitor.visit(url, service.warmup_requests, 0)
        return good

    @activity.defn
    async def shift_traffic(self, order: ShiftTraffic) -> Shifted:
        """Move traffic; the intent is on record before, what was read back after."""
        plan, driver = order.plan, self._driver(order.plan)
        async with beating():
            seen = await driver.inspect(plan.place, plan.environment)
            weights = _weights(plan, seen, order.weight)
            weights = await self._rollouts.begin_weights(
                plan.rollout, order.op, weights, order.expected, self._now_ms()
            )
            try:
                generation = await driver.set_weights(_weight_order(order, weights))
            except Rejected as error:
                if error.problem.code != "stale":
                    raise
                return _stale(plan, await driver.inspect(plan.place, plan.environment), str(error))
            at_ms = self._now_ms()
            await self._rollouts.end_weights(order.op, generation, at_ms)
            return Shifted(
                status="shifted", generation=generation, weight=order.weight, at_ms=at_ms
            )

    @activity.defn
    async def finish_rollout(self, order: FinishRollout) -> None:
        """Remember what the target serves and, if it passed, what to come back to."""
        plan = order.plan
        served = Served(
            target=plan.place.target,
            rollout=plan.rollout,
            sha=plan.sha,
            tag=plan.tag,
            artefact=order.artefact,
            at_ms=self._now_ms(),
            service=plan.service,
        )
        async with beating():
            await self._rollouts.set_current(served)
            if order.passed:
                await self._rollouts.set_passed(served)

    @activity.defn
    async def end_instances(self, order: EndInstances) -> tuple[str, ...]:
        """Drain and stop what a rollout started; what carries traffic stays. Return the stopped."""
        driver = self._drivers(order.environment.driver)
        async with beating():
            seen = await driver.inspect(order.place, order.environment)
            mine = [e.instance for e in seen.instances if of_rollout(order.rollout, e.instance)]
            return tuple([name for name in mine if await self._end_idle(driver, order, name)])

    async def _end_idle(self, driver: Driver, order: EndInstances, instance: str) -> bool:
        """Drain and stop an instance without traffic; it may get some again while it is drained."""
        for drained in (False, True):
            seen = await driver.inspect(order.place, order.environment)
            if seen.weight_of(instance):
                return False
            if not drained and not await self._drained(driver, order, instance):
                return False
        await driver.stop(order.place, order.environment, instance)
        return True

    async def _drained(self, driver: Driver, order: EndInstances, instance: str) -> bool:
        """Wait for its last request; return whether it is without traffic still."""
        try:
            await driver.drain(order.place, order.environment, instance, order.service.drain)
        except Rejected as error:
            if error.problem.code != "has_weight":
                raise
            return False
        return True

    @activity.defn
    async def prune_releases(self, order: PruneReleases) -> tuple[str, ...]:
        """Remove old builds; what is served, and what one can come back to, stays."""
        target = order.place.target
        async with beating():
            served = [each.sha for each in await self._rollouts.served(target) if each]
            lines = await self._rollouts.rollouts_since(target, 0)
            newest = [line.sha for line in lines][-KEPT_RELEASES:]
            keep = tuple(dict.fromkeys((*served, *newest)))
            driver = self._drivers(order.environment.driver)
            return await driver.prune(order.place, order.environment, keep)

    @activity.defn
    async def quarantine_merges(self, order: QuarantineMerges) -> tuple[str, ...]:
        """Bar every merge since the anchor from being released again without a cure."""
        plan = order.plan
        items = tuple(
            Quarantined(
                repository=plan.place.repository.id,
                sha=sha,
                rollout=plan.rollout,
                key=plan.key,
                reason=order.reason,
                at_ms=self._now_ms(),
            )
            for sha in plan.merges
        )
        async with beating():
            await self._rollouts.quarantine(items)
        return plan.merges

    @activity.defn
    async def cure_merges(self, order: CureMerges) -> None:
        """Record what mends undone merges, so that a history which holds both may be released."""
        async with beating():
            for sha in order.shas:
                await self._rollouts.cure(order.repository, sha, order.cure, order.kind)

    @activity.defn
    async def choose_next(self, order: ChooseNext) -> Chosen:
        """Return the commit that holds most of the others; the last one where they diverge."""
        best = order.shas[-1]
        async with beating():
            for sha in order.shas:
                if await self._history.contains(order.place.repository, sha, best):
                    best = sha
        return Chosen(sha=best)

    def _driver(self, plan: RolloutPlan) -> Driver:
        return self._drivers(plan.environment.driver)


async def ensure_anchor(driver: Driver, plan: RolloutPlan, beat: Callable[[str], None]) -> None:
    """Start the release to come back to, where it does not run any more.

    Raises `Rejected` when it does not become ready: the new one could not be compared, nor undone.
    """
    if plan.anchor is None:
        return
    seen = await driver.inspect(plan.place, plan.environment)
    if ready(seen.instances, plan.anchor.rollout):
        return
    try:
        template = template_of(plan.anchor, plan.place, plan.environment)
        await start_all(driver, template, beat, patient=True)
    except Rejected as error:
        raise Rejected(
            f"the release before, {plan.anchor.tag or plan.anchor.sha[:12]}, does not run any more "
            f"and does not start: {error}",
            code="no_anchor",
            hint=f"slipway release retry {plan.key} releases without anything to compare with.",
        ) from error


def template_of(served: Served, place: Place, environment: Environment) -> StartOrder:
    """Return the order that starts the first replica of a release that was served before."""
    return StartOrder(
        place=place,
        rollout=served.rollout,
        replica=0,
        artefact=served.artefact,
        service=served.service,
        environment=environment,
        version=served.tag or served.sha[:12],
    )


async def start_all(
    driver: Driver, template: StartOrder, beat: Callable[[str], None], *, patient: bool = False
) -> tuple[Instance, ...]:
    """Start all replicas of an artefact and wait for their readiness.

    Raises `Rejected` with the driver's reason when one can not become ready. With `patient` one
    that is down may come back, as what has passed may have died for another reason than its own.
    """
    place, rollout = template.place, template.rollout
    orders = [template.but(replica=number) for number in range(template.service.replicas)]
    for order in orders:
        await driver.start(order)
    while True:
        seen = await driver.inspect(place, template.environment)
        mine = tuple(each for each in seen.instances if of_rollout(rollout, each.instance))
        for each in mine:
            if each.state in ("crash_loop", "gone") or (_too_late(each) and not patient):
                raise _never_ready(each)
        if len(ready(mine, rollout)) == len(orders):
            return mine
        beat(f"waits for {len(orders)} instances to be ready")
        await asyncio.sleep(_LOOK_SECONDS)


def _never_ready(instance: Instance) -> Rejected:
    return Rejected(
        f"{instance.instance} of {instance.target} does not become ready: {instance.reason}",
        code="never_ready",
        hint=f"Its output: slipway service logs {instance.instance}",
    )


def _too_late(instance: Instance) -> bool:
    """Return whether the driver gave up on it; the deadline is the driver's to keep."""
    return instance.state == "down" and bool(instance.reason)


def _template(plan: RolloutPlan, artefact: Artefact) -> StartOrder:
    return StartOrder(
        place=plan.place,
        rollout=plan.rollout,
        replica=0,
        artefact=artefact,
        service=plan.service,
        environment=plan.environment,
        version=plan.tag or plan.sha[:12],
    )


def _line(order: RunHook) -> str:
    service, strategy = order.plan.service, order.plan.service.strategy
    lines = {
        "pre": strategy.pre,
        "post": strategy.post,
        "pre_deploy": service.pre_deploy,
        "smoke": strategy.smoke,
    }
    return lines[order.hook]


def _weights(plan: RolloutPlan, seen: Inspection, weight: int) -> dict[str, int]:
    """Divide the traffic between the rollout's instances and those that had it before.

    Whoever has traffic now and is starting again keeps it: until then the edge asks the others.
    Raises `Unavailable` while an instance of the rollout is not ready, `Rejected` if it never is.
    """
    new = _all_ready(plan, seen)
    anchor = plan.anchor.rollout if plan.anchor else ""
    old = serving(seen, anchor) if anchor else ()
    others = tuple(
        route.instance
        for route in seen.routes
        if route.weight and not of_rollout(plan.rollout, route.instance)
    )
    return split(new, old or others, weight)


def _all_ready(plan: RolloutPlan, seen: Inspection) -> tuple[str, ...]:
    """Return the instances of a rollout, all of which have to be ready before they get more."""
    found = ready(seen.instances, plan.rollout)
    if len(found) >= plan.service.replicas:
        return found
    mine = [each for each in seen.instances if of_rollout(plan.rollout, each.instance)]
    for each in mine:
        if each.state == "crash_loop":
            raise _never_ready(each)
    lost = f"{len(found)} of {plan.service.replicas} instances of {plan.place.target} are ready"
    if len(mine) < plan.service.replicas:
        raise Rejected(f"{lost}, and {len(mine)} are there at all", code="gone")
    raise Unavailable(f"{lost}; the traffic waits for the others", code="not_ready")


def _weight_order(order: ShiftTraffic, weights: dict[str, int]) -> WeightOrder:
    return WeightOrder(
        place=order.plan.place,
        service=order.plan.service,
        environment=order.plan.environment,
        weights=weights,
        expected_generation=order.expected,
        op=order.op,
    )


def _stale(plan: RolloutPlan, seen: Inspection, reason: str) -> Shifted:
    return Shifted(
        status="stale",
        generation=seen.generation,
        weight=weight_of(plan.rollout, seen.routes),
        at_ms=0,
        reason=reason,
    )
