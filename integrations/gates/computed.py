"""Gates that slipway computes from the change itself; nothing is run."""

from typing import Literal

from domain.churn import judge_churn
from domain.evidence import Judged, finding_key
from domain.globs import covered, uncovered
from domain.review import Finding, Verdict
from domain.secret_scan import scan
from integrations.gates import changes
from integrations.gates.ports import Objects


async def secrets(git: Objects, store: str, base: str, sha: str) -> Judged:
    """Fail when an added line looks like a credential."""
    found = scan(await changes.lines(git, store, base, sha))
    if not found:
        return Judged(verdict=Verdict.PASSED, reason="no credential in added lines")
    first = found[0]
    reason = f"{len(found)} added lines look like credentials, first {first.rule} in "
    return Judged(
        verdict=Verdict.FAILED, reason=f"{reason}{first.path}:{first.line}", findings=found
    )


async def churn(
    git: Objects, store: str, base: str, sha: str, limit: int, generated: tuple[str, ...]
) -> Judged:
    """Fail when agents changed more lines than the limit."""
    return judge_churn(await changes.files(git, store, base, sha), limit, generated)


async def protected(
    git: Objects, store: str, base: str, sha: str, patterns: tuple[str, ...]
) -> Judged:
    """Name the protected paths that changed; the policy decides what that means."""
    paths = await _paths(git, store, base, sha)
    touched = covered(paths, patterns)
    findings = tuple(_finding("protected", path, "warning") for path in touched)
    reason = f"{len(touched)} protected paths changed, first {touched[0]}" if touched else ""
    return Judged(
        verdict=Verdict.PASSED, reason=reason or "no protected path changed", findings=findings
    )


async def scope(
    git: Objects,
    store: str,
    base: str,
    sha: str,
    allowed: tuple[str, ...],
    forbidden: tuple[str, ...],
) -> Judged:
    """Fail when a path outside the allowed ones, or a forbidden one, changed."""
    paths = await _paths(git, store, base, sha)
    outside = tuple(dict.fromkeys((*uncovered(paths, allowed), *covered(paths, forbidden))))
    if not outside:
        return Judged(verdict=Verdict.PASSED, reason=f"{len(paths)} paths, all inside the scope")
    findings = tuple(_finding("scope", path, "error") for path in outside)
    reason = f"{len(outside)} paths outside the scope, first {outside[0]}"
    return Judged(verdict=Verdict.FAILED, reason=reason, findings=findings)


async def _paths(git: Objects, store: str, base: str, sha: str) -> tuple[str, ...]:
    return tuple(file.path for file in await changes.files(git, store, base, sha))


def _finding(rule: str, path: str, severity: Literal["warning", "error"]) -> Finding:
    key = finding_key(rule, path, "")
    return Finding(key=key, rule=rule, path=path, text=path, severity=severity)
