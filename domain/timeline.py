"""The story of an idea in lines: what an audit entry says, in words for people."""

from collections.abc import Callable, Mapping
from typing import Any

Body = Mapping[str, Any]
Texts = Mapping[str, str | None]


def line(kind: str, body: Body, texts: Texts) -> str:
    """Return one line for the entry; kinds of a newer release are shown by their name."""
    say = _LINES.get(kind)
    return say(body, texts) if say else kind.replace("_", " ")


def _because(what: str, texts: Texts, name: str = "reason") -> str:
    if name not in texts:
        return what
    why = texts[name]
    return f"{what}: {'(redacted)' if why is None else why}"


def _waits(body: Body, texts: Texts) -> str:
    told = [
        _because(f"{wait['flag']} ({wait['owner']})", texts, f"predicate_{number}")
        for number, wait in enumerate(body["waits"])
    ]
    return "waits, " + "; ".join(told) if told else "goes on"


def _task(body: Body, texts: Texts) -> str:
    return _because(f"{body['task']} is {body['state']}", texts)


def _attempt(body: Body, texts: Texts) -> str:
    change = body["change"]
    size = f", +{change['insertions']} -{change['deletions']}" if change else ""
    who = f"{body['task']}, attempt {body['attempt']} by {body['backend']}"
    return _because(f"{who}: {body['status']}{size} in {body['ms'] / 1000:.1f} s", texts)


def _gates(body: Body, texts: Texts) -> str:
    where = f"{body['where']} {body['task']}".strip()
    verdicts = [
        _because(f"{result['gate']} {result['verdict']}", _unless_passed(result, texts, number))
        for number, result in enumerate(body["results"])
    ]
    return f"gates of {where}: {', '.join(verdicts)}"


def _unless_passed(result: Body, texts: Texts, number: int) -> Texts:
    name = f"reason_{number}"
    told = name in texts and result["verdict"] not in ("passed", "skipped")
    return {"reason": texts[name]} if told else {}


def _decision(body: Body, texts: Texts) -> str:
    return _because(f"policy at {body['phase']}: {body['outcome']}", texts)


def _answered(body: Body, texts: Texts) -> str:
    own = " (their own idea)" if body["self_approved"] else ""
    return _because(f"{body['person']}{own} says {body['decision']} to {body['approval']}", texts)


def _steered(body: Body, texts: Texts) -> str:
    what = f"{body['verb']} {body['task']}".strip()
    return _because(f"{body['person']} orders {what}", texts)


def _release(body: Body, _texts: Texts) -> str:
    how = "merged into" if body["base_moved"] else "ready on"
    return f"{how} {body['branch']} as {body['tag']} ({body['sha'][:12]})"


def _ended(body: Body, texts: Texts) -> str:
    failure = "" if body["failure"] == "none" else f" ({body['failure']})"
    return _because(f"ended: {body['stage']}{failure}", texts)


def _planned(body: Body, _texts: Texts) -> str:
    steps = ", ".join(percent(step["weight"]) for step in body["steps"])
    way = f" in steps of {steps}" if steps else ""
    return f"plans {body['tag'] or body['sha'][:12]} for {body['target']}{way}"


def _moved(body: Body, texts: Texts) -> str:
    share = f" at {percent(body['weight'])}" if body["weight"] else ""
    return _because(f"release is {body['state'].replace('_', ' ')}{share}", texts)


def _verdict(body: Body, texts: Texts) -> str:
    # Only a release with all the traffic is judged without a control of the same time.
    where = "at all traffic" if body["label"] else f"on step {body['step'] + 1}"
    label = f" ({body['label'].replace('_', ' ')})" if body["label"] else ""
    return _because(f"verdict {where}: {body['verdict'].replace('_', ' ')}{label}", texts)


def _undone(body: Body, texts: Texts) -> str:
    back = f" to {body['anchor_sha'][:12]}" if body["anchor_sha"] else ""
    seen = "verified" if body["verified"] else "not verified"
    return _because(f"undone{back}, {seen}", texts)


def _rollout_ended(body: Body, texts: Texts) -> str:
    what = body["tag"] or body["sha"][:12]
    return _because(f"release of {what} {body['status'].replace('_', ' ')}", texts)


def _quarantined(body: Body, texts: Texts) -> str:
    named = ", ".join(item["sha"][:12] for item in body["items"])
    return _because(f"bars {named} from release", texts, "reason_0")


def _hook(body: Body, texts: Texts) -> str:
    return _because(f"hook {body['hook']} {'ran' if body['ok'] else 'failed'}", texts)


def percent(basis_points: int) -> str:
    """Return a share of the traffic for people: 500 is `5 %`."""
    return f"{basis_points / 100:g} %"


_LINES: dict[str, Callable[[Body, Texts], str]] = {
    "idea_registered": lambda body, texts: _because("registered", texts, "title"),
    "idea_revised": lambda body, texts: _because(
        f"{body['person']} revised it (revision {body['revision']})", texts
    ),
    "stage_reached": lambda body, texts: _because(str(body["stage"]), texts),
    "waits_changed": _waits,
    "base_resolved": lambda body, texts: _because(
        f"starts from {body['base_sha'][:12]}", texts, "notes"
    ),
    "plan_made": lambda body, texts: (
        f"plan {body['version']} by {body['created_by']}: {len(body['tasks'])} tasks"
    ),
    "task_moved": _task,
    "attempt_ended": _attempt,
    "gates_ran": _gates,
    "policy_decided": _decision,
    "question_asked": lambda body, texts: _because(f"asks {body['approval']}", texts, "text"),
    "question_answered": _answered,
    "question_closed": lambda body, texts: f"{body['approval']} is {body['state']}",
    "input_asked": lambda body, texts: _because(f"asks {body['question']}", texts, "text"),
    "input_given": lambda body, texts: _because(
        f"{body['person']} answers {body['question']}", texts, "text"
    ),
    "steered": _steered,
    "release_made": _release,
    "rollout_planned": _planned,
    "rollout_moved": _moved,
    "verdict_given": _verdict,
    "rollout_undone": _undone,
    "rollout_ended": _rollout_ended,
    "merges_quarantined": _quarantined,
    "quarantine_cured": lambda body, texts: (
        f"{body['cure_kind'].replace('_', ' ')} {body['cure'][:12]} mends {body['sha'][:12]}"
    ),
    "hook_ran": _hook,
    "idea_ended": _ended,
    "effect_begun": lambda body, texts: _because(f"begins {body['effect']}", texts, "intent"),
    "effect_done": lambda body, texts: _because(f"did {body['effect']}", texts, "readback"),
}
