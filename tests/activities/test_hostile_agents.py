"""Agents that do harm: what they try is ended, refused or without effect."""

import os

import pytest

from domain.delivery import FailureClass
from domain.plan import TaskLimits
from tests.agent_bench import REPOSITORY, Bench, python
from tests.processes import running


@pytest.fixture
async def bench(tmp_path):
    return await Bench(tmp_path).open()


@pytest.fixture
async def unboxed(tmp_path):
    """The same without a sandbox: limits and collection must hold by themselves."""
    return await Bench(tmp_path, "/nonexistent/bwrap").open()


async def test_a_daemon_is_gone_when_the_attempt_ends(bench):
    daemon = python(
        "import os, time\n"
        "if os.fork() == 0:\n"
        "    os.setsid()\n"
        "    if os.fork() == 0:\n"
        "        open('src/started', 'w').close()\n"
        "        os.execv('/bin/sleep', ['sleep', '4244.125'])\n"
        "    os._exit(0)\n"
    )

    result = await bench.attempt(f"{daemon}; while [ ! -e src/started ]; do sleep 0.01; done")

    assert result.status == "changed", result.reason
    assert running("4244.125") == []
    assert bench.left() == []


@pytest.mark.parametrize("boxed", [True, False])
async def test_a_fork_bomb_fails_the_attempt(tmp_path, boxed):
    bench = await Bench(tmp_path, "bwrap" if boxed else "/nonexistent/bwrap").open()

    result = await bench.attempt(
        "while :; do sleep 4245.125 & done", limits=TaskLimits(processes=50)
    )

    assert (result.status, result.failure) == ("failed", FailureClass.DETERMINISTIC_ERROR)
    assert "50 processes" in result.reason
    assert running("4245.125") == []


async def test_a_memory_hog_fails_the_attempt(bench):
    hog = python("hoard = [bytearray(1 << 20) for _ in range(600)]; input()")

    result = await bench.attempt(f"sleep 60 | {hog}", limits=TaskLimits(memory_mib=150))

    assert (result.status, result.failure) == ("failed", FailureClass.DETERMINISTIC_ERROR)
    assert "150 MiB" in result.reason


async def test_a_gigabyte_of_output_is_drained_and_dropped(bench):
    result = await bench.attempt("head -c 1000000000 /dev/zero; echo x > src/new; echo the end")

    assert result.status == "changed"
    assert result.transcript is not None
    assert result.transcript.size < 3 * 1024 * 1024
    assert (await bench.said(result)).endswith("the end\n")


async def test_a_link_out_of_the_tree_is_not_followed_and_fails_the_attempt(bench):
    (bench.folder / "secret").write_text("hush")

    result = await bench.attempt(f"ln -s {bench.folder}/secret src/link; ln -s app.py src/inner")

    assert (result.status, result.failure) == ("failed", FailureClass.SCOPE_VIOLATION)
    assert result.out_of_scope == ("src/link",)
    assert result.change is not None
    assert await bench.git.show(REPOSITORY, result.change.sha, "src/link") is None


async def test_a_link_in_place_of_a_folder_does_not_move_writes_outside(bench):
    outside = bench.folder / "outside"
    outside.mkdir()

    result = await bench.attempt(f"rm -r src; ln -s {outside} src; echo x > src/app.py; :")

    assert result.failure is FailureClass.SCOPE_VIOLATION
    assert list(outside.iterdir()) == []


TRAP = """
printf '#!/bin/sh\\necho run > {marker}\\n' > /tmp/trap && cp /tmp/trap {folder}/trap.sh
chmod +x {folder}/trap.sh
git config --file {folder}/.git/config core.fsmonitor {folder}/trap.sh
git config --file {folder}/.git/config filter.x.clean {folder}/trap.sh
echo '* filter=x' > {folder}/.gitattributes
mkdir -p {folder}/.git/hooks
cp {folder}/trap.sh {folder}/.git/hooks/post-index-change
"""


@pytest.mark.parametrize("boxed", [True, False])
async def test_traps_in_the_repository_of_the_workspace_do_not_spring(tmp_path, boxed):
    bench = await Bench(tmp_path, "bwrap" if boxed else "/nonexistent/bwrap").open()
    marker = tmp_path / "sprung"

    result = await bench.attempt(TRAP.format(marker=marker, folder="$PWD"))

    assert result.status == "changed", result.reason
    assert not marker.exists()


@pytest.mark.parametrize("boxed", [True, False])
async def test_a_nested_repository_fails_the_attempt_and_does_nothing(tmp_path, boxed):
    bench = await Bench(tmp_path, "bwrap" if boxed else "/nonexistent/bwrap").open()
    marker = tmp_path / "sprung"
    script = "git init -q inner\n" + TRAP.format(marker=marker, folder="$PWD/inner")

    result = await bench.attempt(script)

    assert (result.status, result.failure) == ("failed", FailureClass.SCOPE_VIOLATION)
    assert "inner/.git" in result.reason
    assert not marker.exists()


async def test_pipes_and_sockets_in_the_tree_fail_the_attempt(bench):
    result = await bench.attempt("mkfifo src/pipe")

    assert result.failure is FailureClass.SCOPE_VIOLATION


@pytest.mark.parametrize(
    "trick",
    [
        'ln -s {secret} "$SLIPWAY_RESULT_FILE"',
        'mkfifo "$SLIPWAY_RESULT_FILE"',
        'mkdir "$SLIPWAY_RESULT_FILE"',
        'head -c 20000000 /dev/zero > "$SLIPWAY_RESULT_FILE"',
        'printf "%100000s" "" | tr " " "[" > "$SLIPWAY_RESULT_FILE"',
        'echo \'{{"questions": {{"a": 1}}, "usage": 7}}\' > "$SLIPWAY_RESULT_FILE"',
    ],
)
async def test_a_strange_result_file_is_as_good_as_none(unboxed, trick):
    secret = unboxed.folder / "secret"
    secret.write_text('{"summary": "hush"}')

    result = await unboxed.attempt(f"{trick.format(secret=secret)}; echo x > src/new")

    assert result.status == "changed", result.reason
    assert (result.summary, result.questions) == ("", ())


async def test_the_environment_of_other_processes_is_out_of_sight(bench, monkeypatch):
    monkeypatch.setenv("WORKER_SECRET", "hush-hush")
    script = "for f in /proc/[0-9]*/environ; do tr '\\0' '\\n' < $f; done > src/seen 2>/dev/null; :"

    result = await bench.attempt(script)

    assert result.change is not None
    seen = await bench.git.show(REPOSITORY, result.change.sha, "src/seen") or b""
    assert b"SLIPWAY_TASK_FILE=" in seen
    assert b"hush-hush" not in seen


async def test_without_a_sandbox_the_environment_of_others_is_the_residue(unboxed):
    """Written down as what really happens: tier `limits` claims nothing."""
    script = f"tr '\\0' '\\n' < /proc/{os.getpid()}/environ > src/seen; :"

    result = await unboxed.attempt(script)

    assert result.tier.claims == ()
    assert result.change is not None
    assert await bench_saw(unboxed, result.change.sha)


async def bench_saw(bench: Bench, sha: str) -> bool:
    return b"PATH=" in (await bench.git.show(REPOSITORY, sha, "src/seen") or b"")


async def test_other_workspaces_the_store_and_our_log_are_out_of_sight(bench):
    script = f"ls -R {bench.folder} > src/seen; ls .. > src/beside; :"

    result = await bench.attempt(script)

    assert result.change is not None
    seen = await bench.git.show(REPOSITORY, result.change.sha, "src/seen") or b""
    beside = await bench.git.show(REPOSITORY, result.change.sha, "src/beside") or b""
    assert b"objects:" not in seen.replace(b".git/objects", b"")
    assert b"artifacts" not in seen
    assert beside.split() == [b"checkout", b"home"]


async def test_folders_that_are_closed_are_removed_all_the_same(bench):
    result = await bench.attempt("mkdir -p build/a/b; echo x > build/a/b/c; chmod -R 000 build; :")

    assert bench.left() == []
    assert result.status == "no_change"


async def test_odd_names_are_told_apart_and_kept(bench):
    script = r"""
printf x > 'src/a b'; printf y > "src/new
line"; printf z > "$(printf 'src/\377')"
"""

    result = await bench.attempt(script, touches=("src/**",))

    assert result.status == "changed", result.reason
    assert result.change is not None
    assert {file.path for file in result.change.files} == {"src/a b", "src/new\nline", "src/\\xff"}


async def test_a_git_command_of_the_agent_works_on_its_own_repository_only(bench):
    result = await bench.attempt(
        "git status --porcelain && git log --oneline && echo x > src/new && git add -A && "
        "git commit -qm mine && git log --oneline | wc -l > src/count"
    )

    assert result.status == "changed", result.reason
    assert result.change is not None
    assert (await bench.git.show(REPOSITORY, result.change.sha, "src/count") or b"").strip() == b"2"
    assert await bench.git.parents_of(REPOSITORY, result.change.sha) == (bench.base,)
    refs = [ref for ref, _ in await bench.git.refs(REPOSITORY, "refs/")]
    assert refs == ["refs/slipway/base/main", "refs/slipway/tasks/idea-1/1/t1/1"]
