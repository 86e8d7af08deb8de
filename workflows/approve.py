"""Ask a person: the state of approvals inside the asking workflow."""

import asyncio
from datetime import timedelta

from pydantic import ValidationError
from temporalio import workflow

from domain.approval import Answered, ApprovalAnswer, Envelope, Question
from domain.errors import Rejected
from domain.record import digest
from workflows.chronicle import now_ms


class Approvals:
    """Open questions and their votes; at most one question is open at a time."""

    def __init__(self) -> None:
        self._question: Question | None = None
        self._votes: dict[str, str] = {}
        self._state = "open"

    @property
    def question(self) -> Question | None:
        return self._question

    def refuse(self, envelope: Envelope) -> ApprovalAnswer:
        """Return the answer in the envelope; raise `Rejected` when it must not count.

        Runs in the validator of the update: reads only, waits for nothing.
        """
        answer = _read(envelope)
        question = self._question
        if question is None or question.approval != answer.approval:
            raise Rejected(
                f"{answer.approval} is not open; it may have been answered or have expired",
                code="not_open",
            )
        if answer.nonce != question.nonce or (
            answer.subject_sha256 != question.subject_sha256
            or answer.requirement_sha256 != question.requirement_sha256
        ):
            raise Rejected(
                "the answer was given for something else than what is asked now; "
                "look at it again and answer again",
                code="stale_answer",
            )
        if now_ms() > question.answer_by_ms:
            raise Rejected(f"{answer.approval} has expired", code="expired")
        self._refuse_person(question, answer)
        return answer

    def count(self, answer: ApprovalAnswer) -> Answered:
        """Count a vote that `refuse` has let through, and say how things stand."""
        question = self._question
        if question is None:
            raise Rejected(f"{answer.approval} is not open", code="not_open")
        if answer.decision == "withdraw":
            self._votes.pop(answer.person, None)
        else:
            self._votes[answer.person] = answer.decision
        approvals = sum(vote == "approve" for vote in self._votes.values())
        if answer.decision == "deny":
            self._state = "denied"
        elif approvals >= question.quorum:
            self._state = "approved"
        return Answered.model_validate(
            {
                "approval": question.approval,
                "state": self._state,
                "approvals": approvals,
                "quorum": question.quorum,
                "message": f"{approvals} of {question.quorum} approvals",
            }
        )

    def open(self, question: Question) -> None:
        """Open the question; do this before anybody can see it, or their answer finds it shut."""
        self._question, self._votes, self._state = question, {}, "open"

    async def decided(self, question: Question) -> str:
        """Wait for the open question: `approved`, `denied` or `expired` (time means no)."""
        patience = timedelta(milliseconds=question.answer_by_ms - now_ms())
        try:
            await workflow.wait_condition(
                lambda: self._state != "open",
                timeout=patience,
                timeout_summary=f"the approval {question.approval} expires",
            )
        except asyncio.TimeoutError:  # noqa: UP041 (the name that the SDK raises)
            self._state = "expired"
        finally:
            self._question = None
        return self._state

    def _refuse_person(self, question: Question, answer: ApprovalAnswer) -> None:
        excluded = answer.person in question.excluded and not question.self_approval
        if excluded and answer.decision == "approve":
            raise Rejected(
                f"{answer.person} has a part in this change; somebody else must approve it",
                code="not_eligible",
            )
        if question.approvers and answer.person not in question.approvers:
            raise Rejected(
                f"{answer.person} is not among those who may answer: "
                + ", ".join(question.approvers),
                code="not_eligible",
            )
        if self._votes.get(answer.person) == answer.decision:
            raise Rejected(f"{answer.person} has answered already", code="already_voted")


def answer_sha256(envelope: Envelope) -> str:
    """Return the id of an answer: the digest of its bytes as received."""
    return digest(envelope.payload.encode())


def _read(envelope: Envelope) -> ApprovalAnswer:
    try:
        return ApprovalAnswer.model_validate_json(envelope.payload)
    except ValidationError as error:
        raise Rejected(f"the answer is not readable: {error.error_count()} problems") from error
