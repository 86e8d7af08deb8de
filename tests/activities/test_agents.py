"""One attempt of one task: what an agent leaves, and what the platform makes of it."""

import asyncio
import json
import sys

import pytest
from temporalio.testing import ActivityEnvironment

from activities.agents import ImplementTask, attempt_name
from domain.agent import Edit
from domain.delivery import FailureClass
from domain.errors import Misconfigured, Rejected
from domain.operation import AddFile, DeleteFile, ReplaceText
from domain.plan import TaskLimits
from domain.review import Finding
from integrations.builtin_agent import BuiltinAgent
from integrations.dry_run import DryRun
from tests.agent_bench import REPOSITORY, Bench
from tests.processes import running, until


@pytest.fixture
async def bench(tmp_path):
    return await Bench(tmp_path).open()


async def test_a_change_becomes_a_commit_that_is_kept_and_measured(bench):
    result = await bench.attempt("echo new > src/new.py; rm src/lib.py; echo 'all done'")

    assert (result.status, result.failure) == ("changed", FailureClass.NONE)
    assert result.change is not None
    files = {file.path: file.kind for file in result.change.files}
    assert files == {"src/new.py": "added", "src/lib.py": "deleted"}
    ref = "refs/slipway/tasks/idea-1/1/t1/1"
    assert await bench.git.read(REPOSITORY, ref) == result.change.sha
    assert await bench.git.show(REPOSITORY, result.change.sha, "src/new.py") == b"new\n"
    assert await bench.git.parents_of(REPOSITORY, result.change.sha) == (bench.base,)
    assert "Slipway-Task: 1/t1/1" in await bench.git.message_of(REPOSITORY, result.change.sha)
    assert (result.backend, result.tier.name) == ("mine", "bwrap")
    assert await bench.said(result) == "all done\n"
    assert bench.left() == []


async def test_the_same_attempt_again_is_the_same_commit(bench):
    first = await bench.attempt("echo new > src/new.py")
    second = await bench.attempt("echo new > src/new.py")

    assert first.change is not None
    assert first.change == second.change


async def test_an_agent_that_ends_well_without_a_change_has_changed_nothing(bench):
    result = await bench.attempt("echo 'I have implemented everything'; touch src/app.py")

    assert (result.status, result.failure) == ("no_change", FailureClass.NO_CHANGE)
    assert result.change is None


async def test_ignored_files_are_no_change(bench):
    result = await bench.attempt("mkdir build; echo x > build/out; echo x > src/app.pyc")

    assert result.status == "no_change"


@pytest.mark.parametrize(
    ("script", "status", "failure"),
    [
        ("echo x > src/new.py; exit 10", "no_change", FailureClass.NO_CHANGE),
        ("exit 20", "failed", FailureClass.UNKNOWN),
        (
            'echo \'{"questions": ["which?"]}\' > "$SLIPWAY_RESULT_FILE"; exit 20',
            "needs_input",
            FailureClass.NEEDS_INPUT,
        ),
        ("exit 30", "failed", FailureClass.QUOTA),
        ("echo 'it broke' >&2; exit 1", "failed", FailureClass.UNKNOWN),
        ("exec /nonexistent/program", "failed", FailureClass.UNKNOWN),
    ],
)
async def test_exit_codes_say_what_the_agent_did(bench, script, status, failure):
    result = await bench.attempt(script)

    assert (result.status, result.failure) == (status, failure)
    assert bench.left() == []


async def test_a_failure_carries_the_last_thing_the_agent_said(bench):
    result = await bench.attempt("echo 'no such module: flux' >&2; exit 1")

    assert "no such module: flux" in result.reason


async def test_questions_summary_and_usage_come_from_the_result_file(bench):
    told = {
        "status": "changed",
        "summary": "half done",
        "questions": ["which colour?", "which size?"],
        "usage": {"input_tokens": 7, "output_tokens": 5, "micro_usd": 3},
    }
    script = f"cat > \"$SLIPWAY_RESULT_FILE\" <<'END'\n{json.dumps(told)}\nEND\nexit 20"

    result = await bench.attempt(script)

    assert result.questions == ("which colour?", "which size?")
    assert result.summary == "half done"
    assert result.usage.model_dump() == told["usage"]


async def test_the_task_file_tells_what_to_do(bench):
    result = await bench.attempt(
        'cp "$SLIPWAY_TASK_FILE" src/task.json; pwd > src/where',
        title="Paint it",
        prompt="Paint it blue",
        touches=("src/**",),
        forbid=("src/lib.py",),
        answers=("blue",),
        findings=(Finding(key="k", rule="F401", path="src/app.py", text="unused"),),
    )

    assert result.change is not None, result
    task = json.loads(await bench.git.show(REPOSITORY, result.change.sha, "src/task.json") or b"")
    where = (await bench.git.show(REPOSITORY, result.change.sha, "src/where") or b"").decode()
    assert task["workspace"] == where.strip()
    assert (task["title"], task["prompt"], task["answers"]) == (
        "Paint it",
        "Paint it blue",
        ["blue"],
    )
    assert (task["touches"], task["forbid"]) == (["src/**"], ["src/lib.py"])
    assert task["findings"][0]["rule"] == "F401"
    assert (task["key"], task["round"], task["task"], task["attempt"]) == ("idea-1", 1, "t1", 1)


async def test_events_are_shown_as_progress(bench):
    await bench.attempt("""echo '{"kind": "message", "text": "reading"}' >&3; touch x""")

    assert ("working", 1, "reading") in bench.progress
    assert bench.progress[0][0] == "preparing"
    assert bench.progress[-1][0] == "collecting"


async def test_only_declared_variables_are_passed_on(bench):
    order = await bench.order()
    agents = bench.agents("env > src/env.txt", env=("SHOWN", "ABSENT"))

    result = await agents.attempt(order, bench.heard)

    assert result.change is not None
    seen = await bench.git.show(REPOSITORY, result.change.sha, "src/env.txt") or b""
    names = {line.partition(b"=")[0] for line in seen.splitlines()}
    assert b"SHOWN=shown-value\n" in seen
    assert not names & {b"HID", b"ABSENT"}


async def test_secrets_do_not_reach_the_transcript(bench):
    token = "ghp_" + "a1B2" * 9
    order = await bench.order()
    agents = bench.agents(f"echo 'got {token} and' $SHOWN; touch x", env=("SHOWN",))

    result = await agents.attempt(order, bench.heard)

    said = await bench.said(result)
    assert "got" in said
    assert token not in said
    assert "shown-value" not in said


async def test_changes_outside_the_paths_of_the_task_fail_it(bench):
    result = await bench.attempt(
        "echo x >> src/app.py; echo x > README; echo x > 'odd name'", touches=("src/**",)
    )

    assert (result.status, result.failure) == ("failed", FailureClass.SCOPE_VIOLATION)
    assert result.out_of_scope == ("README", "odd name")
    assert "README" in result.reason
    assert await bench.git.read(REPOSITORY, "refs/slipway/tasks/idea-1/1/t1/1") is None


async def test_scope_counts_more_files_than_a_change_lists(bench):
    result = await bench.attempt(
        "for n in $(seq 200); do echo $n > src/f$n.py; done; echo x > zzz", touches=("src/**",)
    )

    assert result.out_of_scope == ("zzz",)


async def test_a_forbidden_path_fails_the_task(bench):
    result = await bench.attempt("echo x >> src/lib.py", forbid=("src/lib.py",))

    assert result.failure is FailureClass.SCOPE_VIOLATION


async def test_the_scope_of_the_idea_holds_too(bench):
    result = await bench.attempt("echo x >> src/lib.py", scope_out=("src/lib.py",))

    assert result.failure is FailureClass.SCOPE_VIOLATION


async def test_an_agent_that_hangs_is_ended(bench):
    result = await bench.attempt(
        "trap '' TERM; while true; do sleep 0.1; done", limits=TaskLimits(wall_seconds=1)
    )

    assert (result.status, result.failure) == ("failed", FailureClass.TIMEOUT_WALL)
    assert bench.left() == []


async def test_an_agent_that_falls_silent_is_ended(bench):
    result = await bench.attempt("sleep 60", limits=TaskLimits(wall_seconds=60, idle_seconds=1))

    assert result.failure is FailureClass.TIMEOUT_IDLE


async def test_the_declaration_of_a_backend_lowers_limits(bench):
    order = await bench.order()
    agents = bench.agents("sleep 60", limits={"wall_seconds": 1})

    result = await agents.attempt(order, bench.heard)

    assert result.failure is FailureClass.TIMEOUT_WALL


async def test_a_cancelled_attempt_leaves_no_process_and_no_workspace(bench):
    order = await bench.order()
    script = "(setsid sleep 4242.125 &); sleep 4242.125"
    attempt = asyncio.create_task(bench.agents(script).attempt(order, bench.heard))
    await until(lambda: len(running("sleep\x004242.125")) == 2)

    attempt.cancel()
    with pytest.raises(asyncio.CancelledError):
        await attempt

    assert running("4242.125") == []
    assert bench.left() == []


WORKER = """
import asyncio, sys
from pathlib import Path
from activities.agents import ImplementTask
from tests.agent_bench import Bench
bench = Bench.__new__(Bench)
import tests.agent_bench as module
module.git_sandbox.make = lambda folder, files: folder
bench.__init__(Path(sys.argv[1]), sys.argv[2])
order = ImplementTask.model_validate_json(sys.argv[3])
asyncio.run(bench.agents(Path(sys.argv[1], "agent.sh").read_text()).attempt(order, print))
"""


@pytest.mark.parametrize("bwrap", ["bwrap", "/nonexistent/bwrap"])
async def test_the_next_run_of_an_attempt_starts_clean_after_its_worker_was_killed(tmp_path, bwrap):
    bench = await Bench(tmp_path, bwrap).open()
    order = await bench.order()
    script = """
trap '' TERM
(while :; do mkdir -p "$PWD/src"; echo stray > "$PWD/src/stray"; done) 2> /dev/null &
(setsid sleep 4243.125 &); sleep 4243.125
"""
    bench.script(script)
    words = (sys.executable, "-c", WORKER, str(tmp_path), bwrap, order.model_dump_json())
    worker = await asyncio.create_subprocess_exec(*words, stdout=asyncio.subprocess.DEVNULL)
    await until(lambda: len(running("sleep\x004243.125")) == 2)

    worker.kill()
    second = await bench.agents("ls src > src/seen; pgrep sleep; :").attempt(order, bench.heard)
    await worker.wait()

    assert running("4243.125") == []
    assert second.change is not None
    seen = await bench.git.show(REPOSITORY, second.change.sha, "src/seen")
    assert seen == b"app.py\nlib.py\nseen\n"
    assert bench.left() == []


async def test_a_repair_continues_from_the_last_attempt(bench):
    first = await bench.attempt("echo new > src/new.py")
    assert first.change is not None

    second = await bench.attempt(
        "cat src/new.py && echo more >> src/new.py", attempt=2, start_sha=first.change.sha
    )

    assert second.change is not None
    assert [file.path for file in second.change.files] == ["src/new.py"]
    assert await bench.git.show(REPOSITORY, second.change.sha, "src/new.py") == b"new\nmore\n"
    assert await bench.git.parents_of(REPOSITORY, second.change.sha) == (bench.base,)


async def test_a_repair_that_changes_nothing_has_changed_nothing(bench):
    first = await bench.attempt("echo new > src/new.py")
    assert first.change is not None

    second = await bench.attempt("true", attempt=2, start_sha=first.change.sha)

    assert second.status == "no_change"


async def moved_on(bench: Bench, script: str) -> str:
    """Return a commit that stands for the idea branch after another task."""
    result = await bench.attempt(script, attempt=90)
    assert result.change is not None
    return result.change.sha


async def test_a_repair_follows_a_branch_that_has_moved_on(bench):
    first = await bench.attempt("echo new > src/new.py")
    assert first.change is not None
    head = await moved_on(bench, "echo other > src/other.py")

    second = await bench.attempt(
        "echo more >> src/new.py", attempt=2, start_sha=first.change.sha, base_sha=head
    )

    assert second.change is not None
    assert [file.path for file in second.change.files] == ["src/new.py"]
    assert await bench.git.show(REPOSITORY, second.change.sha, "src/other.py") == b"other\n"


async def test_a_repair_tells_a_conflict_with_a_branch_that_has_moved_on(bench):
    first = await bench.attempt("echo mine > src/lib.py")
    assert first.change is not None
    head = await moved_on(bench, "echo theirs > src/lib.py")

    second = await bench.attempt("true", attempt=2, start_sha=first.change.sha, base_sha=head)

    assert (second.status, second.failure) == ("failed", FailureClass.CONFLICT)
    assert "src/lib.py" in second.reason


async def test_builtin_carries_out_operations_and_marks_what_it_made(bench):
    result = await bench.attempt(
        "",
        backend="builtin",
        operations=(AddFile(path="docs/a.md", text="hello\n"), DeleteFile(path="src/lib.py")),
    )

    assert result.status == "changed", result.reason
    assert result.change is not None
    assert {(file.path, file.generated) for file in result.change.files} == {
        ("docs/a.md", True),
        ("src/lib.py", True),
    }
    assert result.tier.name == "bwrap"


async def test_builtin_without_anything_to_do_has_changed_nothing(bench):
    result = await bench.attempt(
        "", backend="builtin", operations=(DeleteFile(path="not/there.py"),)
    )

    assert result.status == "no_change"


async def test_builtin_repairs_what_the_linter_found(bench):
    finding = Finding(key="k", rule="F401", path="src/app.py", line=1, text="`os` is unused")

    result = await bench.attempt("", backend="builtin", findings=(finding,))

    assert result.change is not None, result.reason
    repaired = await bench.git.show(REPOSITORY, result.change.sha, "src/app.py") or b""
    assert repaired.strip() == b"def one():\n    return 1"


async def test_builtin_does_not_pretend_to_repair_a_failed_test(bench):
    finding = Finding(key="tests:test_one", rule="tests", text="test_one fails now")

    result = await bench.attempt(
        "",
        backend="builtin",
        operations=(AddFile(path="a", text="a"),),
        findings=(finding,),
    )

    assert (result.status, result.failure) == ("no_change", FailureClass.NO_CHANGE)
    assert "no operation mends tests" in result.reason


async def test_an_undeclared_agent_is_a_mistake_of_the_operator(bench):
    with pytest.raises(Misconfigured) as refused:
        await bench.attempt("", backend="unheard-of")

    assert refused.value.problem.code == "unknown_backend"


async def test_a_task_that_the_plan_lacks_is_refused(bench):
    order = await bench.order()

    with pytest.raises(Rejected, match="no task"):
        await bench.agents().attempt(order.but(task="t9"), bench.heard)


async def test_the_activity_tells_how_often_it_ran_and_beats(bench):
    order = await bench.order()
    beats: list[tuple[object, ...]] = []
    environment = ActivityEnvironment()
    environment.on_heartbeat = lambda *details: beats.append(details)

    result = await environment.run(bench.agents("touch x").implement_task, order)

    assert (result.status, result.runs) == ("changed", 1)
    assert ("preparing", 0, "") in beats


def test_names_of_attempts_differ_and_stay_short():
    order = ImplementTask.model_validate(
        {
            "key": "k",
            "round": 1,
            "task": "t" * 60,
            "attempt": 1,
            "plan": {"sha256": "0" * 64, "size": 1},
            "repository": {"id": "r", "name": "r", "location": "/r", "base": "refs/heads/main"},
            "base_sha": "b",
            "at_ms": 0,
        }
    )

    names = {attempt_name(order.but(attempt=n, round=m)) for n in (1, 2) for m in (1, 2)}

    assert len(names) == 4
    assert max(map(len, names)) < 64


async def test_a_dry_run_tells_edits_and_leaves_nothing(bench):
    agent = BuiltinAgent(bench.agents()._adapters["builtin"].backend, sys.executable)
    dry = DryRun(agent, bench.workspaces, bench.processes)

    edits = await dry.edits(
        REPOSITORY,
        bench.base,
        (AddFile(path="a.txt", text="x\ny\n"), DeleteFile(path="src/none.py")),
    )

    assert edits == (Edit(op="add_file", path="a.txt", insertions=2),)
    assert bench.left() == []


async def test_a_dry_run_tells_why_operations_cannot_be_carried_out(bench):
    agent = BuiltinAgent(bench.agents()._adapters["builtin"].backend, sys.executable)
    dry = DryRun(agent, bench.workspaces, bench.processes)
    operation = ReplaceText(paths=("src/app.py",), old="return", new="yield", expected=7)

    with pytest.raises(Rejected) as refused:
        await dry.edits(REPOSITORY, bench.base, (operation,))

    assert refused.value.problem.code == "operation_failed"
    assert bench.left() == []
