"""Steering an idea: messages from a person to its workflow."""

import time

from config.settings import Settings
from domain.approval import Answered, ApprovalAnswer, Envelope
from domain.audit import canonical
from domain.delivery import Answer, Revise, Steer
from domain.errors import Rejected
from domain.record import Record
from domain.record_view import InputView, QuestionView
from starter.client import Deliveries, Verb
from starter.lookup import full_key, open_reads
from starter.place import person
from starter.reads import Reads


class Told(Record):
    """What an idea answered to a message."""

    key: str
    message: str


class Voted(Record):
    """An answer to an approval, and how things stand then."""

    key: str
    question: QuestionView
    answered: Answered


async def steer(chosen: Settings, given: str, verb: Verb, message: Steer) -> Told:
    """Pause, resume, cancel an idea; retry or skip one of its tasks.

    Raises `Rejected` with the reason when the idea refuses.
    """
    async with open_reads(chosen) as reads:
        key = await full_key(reads, given)
    deliveries = await Deliveries.connect(chosen)
    return Told(key=key, message=await deliveries.steer(key, verb, message))


async def answer(chosen: Settings, given: str, question: str, text: str) -> Told:
    """Answer what the planner or an agent asked; `question` empty: the only one open."""
    async with open_reads(chosen) as reads:
        key = await full_key(reads, given)
        asked = _only(key, question, (await reads.open_questions(key)).inputs)
    deliveries = await Deliveries.connect(chosen)
    message = Answer(question=asked.question, text=text, actor=person())
    return Told(key=key, message=await deliveries.answer_question(key, message))


def _only(key: str, question: str, inputs: tuple[InputView, ...]) -> InputView:
    """Return the open question with this id."""
    found = [asked for asked in inputs if question in ("", asked.question)]
    if len(found) == 1:
        return found[0]
    told = "; ".join(f"{asked.question}: {asked.text}" for asked in inputs) or "nothing"
    raise Rejected(
        f"{key} does not ask {question!r}" if question else f"{key} asks {len(found)} questions",
        code="not_asked",
        path=question or key,
        hint=f"It asks {told}",
    )


async def vote(chosen: Settings, given: str, approval: str, decision: str, reason: str) -> Voted:
    """Approve or deny what is asked; `approval` empty: the only question that is open."""
    async with open_reads(chosen) as reads:
        key = await full_key(reads, given)
        question = await _question(reads, key, approval)
    payload = ApprovalAnswer.model_validate(
        {
            "approval": question.approval,
            "workflow_id": f"idea/{key}",
            "subject_sha256": question.subject_sha256,
            "requirement_sha256": question.requirement_sha256,
            "person": person(),
            "via": "cli",
            "decision": decision,
            "reason": reason,
            "received_at_ms": time.time_ns() // 1_000_000,
            "nonce": question.nonce,
        }
    )
    deliveries = await Deliveries.connect(chosen)
    envelope = Envelope(payload=canonical(payload.model_dump(mode="json")).decode())
    answered = await deliveries.answer_approval(key, envelope)
    return Voted(key=key, question=question, answered=answered)


async def _question(reads: Reads, key: str, approval: str) -> QuestionView:
    asked = (await reads.open_questions(key)).approvals
    found = [question for question in asked if approval in ("", question.approval)]
    if len(found) == 1:
        return found[0]
    known = ", ".join(question.approval for question in asked) or "none"
    raise Rejected(
        f"{key} has {len(asked)} open approvals, and {approval or 'no name'} is not one of them",
        code="not_asked",
        path=approval or key,
        hint=f"Open: {known}. `slipway idea explain {key}` says what it waits for.",
    )


async def revise(chosen: Settings, given: str, file: str, reason: str) -> Told:
    """Give an idea that waits for it a new version of its specification."""
    from starter.intake import Wanted, take

    async with open_reads(chosen) as reads:
        key = await full_key(reads, given)
        repo = (await reads.record(key)).repo
    wanted = Wanted(
        file=file, repo=repo.location, base=repo.base.removeprefix("refs/heads/"), key=key
    )
    idea = take(wanted).idea
    deliveries = await Deliveries.connect(chosen)
    message = Revise(idea=idea, actor=person(), reason=reason)
    return Told(key=key, message=await deliveries.revise(key, message))
