"""RolloutSteering: what people and other releases say to a rollout, and the state it changes."""

from temporalio import workflow

from domain.delivery import Steer
from domain.errors import Rejected
from domain.fact import Fact, Steered
from domain.rollout import ENDED, RolloutState, StartRollout
from domain.rollout_board import RolloutBoard, markdown
from domain.rollout_fact import RolloutMoved
from workflows.chronicle import Chronicle
from workflows.names import STAGE


class RolloutSteering:
    """State is complete before `run` begins: a validator may be called first."""

    def __init__(self, start: StartRollout) -> None:
        self._start = start
        self._patience = start.patience
        self._chronicle = Chronicle(start.key, start.patience)
        self._waiters: tuple[StartRollout, ...] = ()
        self._held = ""  # by whom; empty: nobody
        self._promoted = False
        self._undo_wanted: Steer | None = None
        self._nudged = False  # something was said that the one who watches has to hear
        self._board = RolloutBoard(
            rollout=start.rollout, target=start.place.target, tag=start.tag, sha=start.sha
        )

    @workflow.query
    def board(self) -> RolloutBoard:
        """What a person sees of the rollout."""
        return self._board

    @workflow.update
    async def hold_rollout(self, steer: Steer) -> str:
        """Let the weights stand where they are; the judge goes on, and so does undo."""
        self._held, self._nudged = steer.actor, True
        await self._tell(_steered("hold", steer), actor=steer.actor)
        return (
            f"held at {self._board.weight / 100:g} %; it is still watched, and undone if it fails"
        )

    @hold_rollout.validator
    def _check_hold(self, steer: Steer) -> None:
        self._refuse_if_over()
        if self._held:
            raise Rejected(f"it is held already, by {self._held}", code="already_held")

    @workflow.update
    async def promote_rollout(self, steer: Steer) -> str:
        """Go on to the next step now; a release that fails is undone all the same."""
        self._held, self._promoted, self._nudged = "", True, True
        await self._tell(_steered("promote", steer), actor=steer.actor)
        return "promoted: the next step begins"

    @promote_rollout.validator
    def _check_promote(self, steer: Steer) -> None:
        self._refuse_if_over()

    @workflow.signal
    def pause(self, steer: Steer) -> None:
        """The idea is paused: the weights stand, nothing else does."""
        self._held, self._nudged = self._held or steer.actor, True

    @workflow.signal
    def resume(self, steer: Steer) -> None:
        """The idea goes on."""
        self._held, self._nudged = "", True

    @workflow.update
    async def roll_back(self, steer: Steer) -> str:
        """Undo the release now."""
        self._undo_wanted, self._nudged = steer, True
        await self._tell(_steered("rollback", steer), actor=steer.actor)
        return "undoing: the release before gets its traffic back"

    @roll_back.validator
    def _check_roll_back(self, steer: Steer) -> None:
        self._refuse_if_over()
        if self._undo_wanted or self._board.state is RolloutState.UNDOING:
            raise Rejected("it is being undone already", code="already_undone")

    @workflow.signal
    def join(self, start: StartRollout) -> None:
        """Wait here for the target; a repeated join is one."""
        others = tuple(each for each in self._waiters if each.key != start.key)
        self._waiters = (*others, start)
        self._nudged = True
        self._show(waiting=tuple(each.tag or each.sha[:12] for each in self._waiters))

    async def _enter(self, state: RolloutState, reason: str = "") -> None:
        """Reach a state: recorded, searchable, shown."""
        self._show(state=state, reason=reason)
        workflow.upsert_search_attributes([STAGE.value_set(state.value)])
        await self._tell(
            RolloutMoved(
                rollout=self._start.rollout,
                state=state,
                step=max(0, self._board.step),
                weight=self._board.weight,
                reason=reason,
                target=self._start.place.target,
            )
        )

    async def _tell(self, *facts: Fact, actor: str = "slipway") -> None:
        await self._chronicle.tell(self._start.round, *facts, actor=actor)

    def _show(self, **changes: object) -> None:
        self._board = self._board.but(**changes)
        workflow.set_current_details(markdown(self._board))

    def _refuse_if_over(self) -> None:
        if self._board.state in ENDED:
            raise Rejected(f"the rollout is {self._board.state}", code="over")


def _steered(verb: str, steer: Steer) -> Steered:
    return Steered(verb=verb, actor=steer.actor, via=steer.via, reason=steer.reason)
