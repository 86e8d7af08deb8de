"""What the judge says to people: one sentence per verdict."""

import math

from domain.verdict import ClassEvidence, GaugeEvidence

_BAD = {"error": "bad", "slow": "slow"}


def failed(found: ClassEvidence, *, past: bool) -> str:
    """Say why a class of bad answers fails a release."""
    stable = "by the release before" if past else "by the stable release at the same time"
    times = f"{_times(found.ratio)} the share, at least {_times(found.interval[0])}"
    if math.isinf(found.ratio):
        times = f"at least {_times(found.interval[0])} the share"
    return f"{_canary(found)}, against {_control(found)} {stable}: {times}"


def suspected(found: ClassEvidence, *, past: bool) -> str:
    """Say that a release would fail, were it not for one stretch of time."""
    stable = "by the release before" if past else "by the stable release"
    return (
        f"{_canary(found)}, against {_control(found)} {stable}; too much of that is of one stretch "
        "of time to be sure"
    )


def passed(classes: tuple[ClassEvidence, ...], *, past: bool) -> str:
    """Say how good a release looks, and what would have been seen."""
    stable = "before" if past else "by the stable release"
    told = [f"{_canary(each)}, {_control(each)} {stable} ({_blind(each)})" for each in classes]
    return "no worse: " + "; ".join(told)


def watching(classes: tuple[ClassEvidence, ...]) -> str:
    """Say what has been seen so far."""
    told = [f"{_canary(each)}, {_control(each)} by the stable release" for each in classes]
    return "nothing speaks against it so far: " + ("; ".join(told) or "no guard has rung")


def too_few(compared: int, needed: int) -> str:
    """Say that more traffic is needed."""
    return f"only {compared:,} of the {needed:,} answers needed could be compared"


def gauges(found: tuple[GaugeEvidence, ...]) -> str:
    """Say which metrics stand in the way."""
    return "; ".join(each.reason for each in found)


def restored(found: ClassEvidence, regression: float) -> str:
    """Say how well the release before does again."""
    seen = _canary(found).replace("the new release", "the restored release")
    return (
        f"{seen}, {_control(found)} during the rollout ({_blind(found)}, {_times(regression)} was)"
    )


def _canary(found: ClassEvidence) -> str:
    share = _share(found.canary_bad, found.canary_total)
    return f"{share} of {found.canary_total:,} answers of the new release were {_BAD[found.name]}"


def _control(found: ClassEvidence) -> str:
    return f"{_share(found.control_bad, found.control_total)} of {found.control_total:,}"


def _blind(found: ClassEvidence) -> str:
    if math.isinf(found.mde):
        return "too little traffic to see any difference"
    return f"{_times(found.mde)} the share would have been seen"


def _share(bad: int, all_: int) -> str:
    percent = 100 * bad / all_ if all_ else 0.0
    return f"{percent:.2g} %" if 0 < percent < 1 else f"{percent:.3g} %"


def _times(ratio: float) -> str:
    if math.isinf(ratio):
        return "any number of times"
    return f"{ratio:.0f} times" if ratio >= 10 else f"{ratio:.1f} times"
