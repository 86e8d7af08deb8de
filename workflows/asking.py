"""Asking: what policy and people say before an idea goes on, and the waits for their answer."""

from datetime import timedelta

from temporalio import workflow

from activities.policies import Policies
from domain.approval import Question
from domain.delivery import FailureClass, Outcome, Stage, StartDelivery
from domain.fact import PolicyDecided, QuestionAsked, QuestionClosed
from domain.phases import question_text, start_facts
from domain.policy import DecidePhase, Decision, Facts, PolicyOutcome
from domain.record import digest
from workflows.chronicle import now_ms
from workflows.options import quick
from workflows.steering import Steering


class Over(Exception):
    """Leaves the story with an outcome; caught in `_deliver`."""

    def __init__(self, stage: Stage, failure: FailureClass, reason: str) -> None:
        super().__init__(reason)
        self.outcome = Outcome(stage=stage, failure=failure, reason=reason)


class Asking(Steering):
    """Every phase is passed here: policy allows it, a person does, or the idea ends."""

    def __init__(self, start: StartDelivery) -> None:
        super().__init__(start)
        self._facts = start_facts(start.idea)
        self._subject_sha256 = ""
        self._questions_asked = 0

    async def _pass(
        self, facts: Facts, *, subject: str = "", base_sha: str = "", head_sha: str = ""
    ) -> tuple[str, ...]:
        """Ask policy, and people where it says so; return the approvals that were given."""
        while True:
            decision = await self._decide(facts, base_sha, head_sha)
            if decision.frozen_until_ms > now_ms():
                await self._thaw(decision)
            elif decision.outcome is PolicyOutcome.DENY:
                raise Over(Stage.REJECTED, FailureClass.POLICY_DENIED, decision.reason)
            elif decision.outcome is PolicyOutcome.ALLOW:
                self._subject_sha256 = digest(subject.encode())
                return ()
            else:
                question = self._question(facts, decision, subject)
                if await self._approved(question):
                    return (question.approval,)

    async def _decide(self, facts: Facts, base_sha: str, head_sha: str) -> Decision:
        decision = await workflow.execute_activity_method(
            Policies.decide_phase,
            DecidePhase(
                facts=facts.but(now_ms=now_ms()),
                repository=self._idea.repository,
                base_sha=base_sha,
                head_sha=head_sha,
            ),
            **quick(self._patience, f"policy at phase {facts.phase}"),
        )
        await self._desk.tell(PolicyDecided(decision=decision))
        return decision

    async def _thaw(self, decision: Decision) -> None:
        left = timedelta(milliseconds=decision.frozen_until_ms - now_ms())
        wait = self._wait("Frozen", "the freeze calendar", decision.reason)
        await self._until(
            lambda: False, wait.but(recheck_ms=decision.frozen_until_ms), timeout=left
        )

    def _question(self, facts: Facts, decision: Decision, subject: str) -> Question:
        self._questions_asked += 1
        asked = now_ms()
        return Question(
            approval=f"{self._idea.key}/{self._round}/{facts.phase}/{self._questions_asked}",
            key=self._idea.key,
            round=self._round,
            phase=facts.phase,
            nonce=str(workflow.uuid4()),
            subject=subject,
            subject_sha256=digest(subject.encode()),
            requirement_sha256=decision.requirement_sha256,
            text=question_text(self._idea, facts, decision.reason),
            rules=decision.rules,
            quorum=decision.quorum,
            approvers=decision.approvers,
            excluded=(self._idea.initiator.id,),
            self_approval=decision.self_approval,
            asked_at_ms=asked,
            answer_by_ms=asked + int(self._patience.answer_by * 1000),
            use_by_ms=asked + int((self._patience.answer_by + self._patience.use_by) * 1000),
        )

    async def _approved(self, question: Question) -> bool:
        """Wait for people; a denial ends the idea, an expired question can be asked again."""
        if question.phase == "plan":
            await self._enter(Stage.AWAITING_PLAN_APPROVAL, question.text)
        if question.phase == "deploy":
            await self._enter(Stage.AWAITING_DEPLOY_APPROVAL, question.text)
        self._subject_sha256 = question.subject_sha256
        wait = self._wait(
            "AwaitingApproval",
            ", ".join(question.approvers) or "a person",
            f"slipway idea approve {self._idea.key} {question.approval}: {question.text}",
            subject=question.approval,
        )
        self._approvals.open(question)
        self._desk.note(QuestionAsked(question=question))
        await self._desk.wait_begins(wait.but(recheck_ms=question.answer_by_ms))
        state = await self._approvals.decided(question)
        self._desk.note(QuestionClosed.model_validate(
            {"approval": question.approval, "state": state}
        ))  # fmt: skip
        await self._desk.wait_ends("AwaitingApproval", question.approval)
        if state == "denied":
            reason = f"{question.approval} was denied"
            raise Over(Stage.REJECTED, FailureClass.POLICY_DENIED, reason)
        if state == "expired":
            command = f"slipway idea retry {self._idea.key}"
            await self._until_retried(f"{question.approval} expired; {command}")
        return state == "approved"

    async def _until_retried(self, predicate: str) -> None:
        self._retryable, self._retried = True, False
        await self._until(lambda: self._retried, self._wait("AwaitingInput", "a person", predicate))
        self._retryable = False

    async def _enter(self, stage: Stage, reason: str = "") -> None:
        await self._unless_paused()
        await self._desk.enter(stage, reason)

    @property
    def _round(self) -> int:
        return self._desk.board.round
