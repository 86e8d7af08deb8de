"""A twin of the effects ledger that keeps its rows in memory."""

from domain.errors import Rejected
from domain.ledger import EffectRow


class EffectsTwin:
    """`off` names a scope that is switched off."""

    def __init__(self) -> None:
        self.rows: dict[str, EffectRow] = {}
        self.begun: list[str] = []
        self.approvals: dict[str, tuple[str, ...]] = {}
        self.off = ""
        self.forget = False  # lose what was finished, as a crash before the commit does

    async def begin(
        self,
        op: str,
        *,
        key: str,
        kind: str,
        scopes: tuple[str, ...],
        subject_sha256: str,
        intent: str,
        approvals: tuple[str, ...] = (),
    ) -> EffectRow:
        if self.off in scopes:
            raise Rejected(f"{op} is held: {self.off} is switched off", code="switched_off")
        self.begun.append(op)
        self.approvals[op] = approvals
        return self.rows.setdefault(op, EffectRow(op=op))

    async def finish(self, op: str, readback: str) -> None:
        row = self.rows[op]
        if row.done and row.readback != readback:
            raise Rejected(f"{op} was read back differently", code="readback_differs")
        if not self.forget:
            self.rows[op] = EffectRow(op=op, done=True, readback=readback)
