"""What a failed gate tells the next attempt."""

from domain.review import Finding, GateResult

LONGEST = 40  # findings that travel to the next attempt


def repair_findings(failed: tuple[GateResult, ...]) -> tuple[Finding, ...]:
    """Return what the failed gates found, as findings an agent can work on."""
    told: list[Finding] = []
    for gate in failed:
        told += gate.findings
        told += (
            Finding(key=f"{gate.gate}:{test}", rule=gate.kind, text=f"{test} fails now")
            for test in gate.newly_failed
        )
        if not gate.findings and not gate.newly_failed:
            told.append(Finding(key=gate.gate, rule=gate.kind, text=gate.reason))
    return tuple(told[:LONGEST])
