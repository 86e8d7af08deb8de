"""Told: what a demo has come to; all of it follows from the records and from the account."""

from domain.delivery import Stage
from domain.record import Record
from domain.record_view import IdeaRecord
from domain.rollout import RolloutState
from domain.rollout_view import RolloutRecord
from starter.demo.account import Account, Answers, Check, checks


class Chapter(Record):
    """One idea, and its rollouts in the order of time."""

    idea: IdeaRecord
    rollouts: tuple[RolloutRecord, ...] = ()


class Moment(Record):
    at_ms: int
    what: str


class Told(Record):
    """What `--json` prints; without an account it never got as far as having load."""

    chapters: tuple[Chapter, ...]
    repository: str
    url: str  # of the service
    account: Account | None = None
    counted: int = 0  # requests that the edge has counted while there was load
    reports: tuple[str, ...] = ()  # HTML files, one per rollout
    checks: tuple[Check, ...] = ()
    moments: tuple[Moment, ...] = ()

    @property
    def well(self) -> bool:
        """Whether everything came as it should."""
        return bool(self.checks) and all(check.holds for check in self.checks)


WAY = (
    (RolloutState.PASSED,),
    (RolloutState.PASSED,),
    (RolloutState.UNDONE, RolloutState.PASSED),
)


def as_hoped(chapters: tuple[Chapter, ...]) -> bool:
    """Return whether the ideas so far went the way that the demo is about."""
    return all(
        chapter.idea.state is Stage.COMPLETED
        and tuple(rollout.state for rollout in chapter.rollouts) == way
        for chapter, way in zip(chapters, WAY, strict=False)
    )


def verdict(chapters: tuple[Chapter, ...], account: Account, counted: int) -> tuple[Check, ...]:
    """Return all that must hold of a demo."""
    undone = tuple(each.tag for each in _rollouts(chapters) if each.state is RolloutState.UNDONE)
    return (_went(chapters), _verified(chapters), *checks(account, counted, undone))


def _went(chapters: tuple[Chapter, ...]) -> Check:
    told = ", ".join(f"{each.tag} {each.state}" for each in _rollouts(chapters))
    return Check(holds=len(chapters) == len(WAY) and as_hoped(chapters), text=f"releases: {told}")


def _verified(chapters: tuple[Chapter, ...]) -> Check:
    undos = [each.undo for each in _rollouts(chapters) if each.undo]
    holds = bool(undos) and all(undo.verified for undo in undos)
    text = "the undo was verified" if holds else "an undo took place and was verified"
    return Check(holds=holds, text=text, notes=tuple(c for undo in undos for c in undo.checks))


def _rollouts(chapters: tuple[Chapter, ...]) -> tuple[RolloutRecord, ...]:
    return tuple(rollout for chapter in chapters for rollout in chapter.rollouts)


def moments(chapter: Chapter, account: Account) -> tuple[Moment, ...]:
    """Return what happened around the undo, in the order of time; empty where there was none.

    When answers were bad is the customers' word, all else is on record.
    """
    bad = next((each for each in chapter.rollouts if each.undo), None)
    if bad is None or bad.undo is None:
        return ()
    undo, fix = bad.undo, chapter.rollouts[-1]
    answers = account.versions.get(bad.tag, Answers())
    known = (
        (_first_share(bad), f"{bad.tag} gets its first share of the traffic"),
        (answers.first_bad_ms, "first bad answer"),
        (undo.decided_ms, f"judged: {bad.reason}"),
        (answers.last_bad_ms, "last bad answer"),
        (undo.restored_ms, f"traffic restored to {_name(undo.anchor_sha, bad)}"),
        (undo.verified_ms, "undo verified"),
        (fix.created_at_ms, f"fix merged by the same idea, on its way as {fix.tag}"),
        (fix.ended_at_ms or 0, f"fixed: {fix.tag} {fix.state}, the idea is {chapter.idea.state}"),
    )
    return tuple(Moment(at_ms=at, what=what) for at, what in sorted(known) if at)


def _first_share(rollout: RolloutRecord) -> int:
    """Return when traffic began to move; answers may come before that is on record."""
    return min((change.begun_at_ms for change in rollout.weights), default=0)


def _name(sha: str, rollout: RolloutRecord) -> str:
    anchor = rollout.plan.anchor if rollout.plan else None
    return anchor.tag if anchor and anchor.tag else sha[:12]
