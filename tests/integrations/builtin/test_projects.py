"""Manifests, keys, ruff, generated tests, endpoints, options and flags."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from integrations.builtin.__main__ import main
from integrations.builtin.engine import HANDLERS, handler
from tests.integrations.builtin.workspace import OPERATION, applied, order, read, refused, write


@pytest.mark.parametrize(
    ("path", "before", "key", "value", "after"),
    [
        ("a.json", '{\n    "a": {"b": 1},\n    "c": 2\n}\n', ("a", "b"), 3,
         '{\n    "a": {\n        "b": 3\n    },\n    "c": 2\n}\n'),
        ("a.json", '{"a": [1, 2]}', ("a", 1), "é", '{"a": [1, "é"]}'),
        ("a.toml", "# top\n[tool.x]\ny = 1 # why\n", ("tool", "x", "y"), 2,
         "# top\n[tool.x]\ny = 2 # why\n"),
        ("a.toml", "a = 1\n", ("t", "k"), ["x"], 'a = 1\n\n[t]\nk = ["x"]\n'),
        ("a.yaml", "# top\na:\n    b: 'q'   # why\n    c: [1, 2]\n", ("a", "d"), True,
         "# top\na:\n    b: 'q'   # why\n    c: [1, 2]\n    d: true\n"),
        ("a.yml", "on:\n- push\nx: 1\n", ("x",), 2, "on:\n- push\nx: 2\n"),
        ("a.yaml", "---\na: 1\n", ("a",), None, "---\na:\n"),
        ("a.yaml", "", ("a",), 1, "a: 1\n"),
    ],
)  # fmt: skip
def test_sets_a_value_and_keeps_the_rest(
    tmp_path: Path, path: str, before: str, key: tuple[str | int, ...], value: object, after: str
) -> None:
    (tmp_path / path).write_text(before)

    order(tmp_path, {"op": "set_key", "path": path, "key": key, "value": value})

    assert (tmp_path / path).read_text() == after
    assert applied(tmp_path, {}, op="set_key", path=path, key=key, value=value) == {}


@pytest.mark.parametrize(
    ("path", "content", "key", "code"),
    [
        ("a.json", "{", ("a",), "broken_file"),
        ("a.toml", "a = ", ("a",), "broken_file"),
        ("a.yaml", "a: [", ("a",), "broken_file"),
        ("a.yaml", "a: 1", ("a", "b"), "no_such_place"),
        ("a.json", "[1]", (7,), "no_such_place"),
        ("a.ini", "a = 1", ("a",), "format"),
    ],
)
def test_refuses_files_and_places_that_are_not_there(
    tmp_path: Path, path: str, content: str, key: tuple[str | int, ...], code: str
) -> None:
    result = refused(tmp_path, {path: content}, op="set_key", path=path, key=key, value=1)

    assert result.code == code


@pytest.mark.parametrize(
    ("path", "before", "name", "version", "after"),
    [
        ("requirements.txt", "# x\nDjango>=3,<4 ; python_version > '3'\ndjango-x==1\n", "django",
         "4.2", "# x\nDjango>=4.2 ; python_version > '3'\ndjango-x==1\n"),
        ("requirements/dev.txt", "a_b.c\n-r x.txt\n", "a-b-c", "1.0", "a_b.c==1.0\n-r x.txt\n"),
        ("requirements.txt", "x==1 \\\n    --hash=sha256:0\n", "x", "==2",
         "x==2 \\\n    --hash=sha256:0\n"),
        ("setup.py", 'setup(install_requires=["six>=1.0", "sixer"], name="six")', "sixer", ">=2",
         'setup(install_requires=["six>=1.0", "sixer>=2"], name="six")'),
        ("setup.cfg", "[options]\ninstall_requires =\n    six~=1.0\n", "six", "1.16",
         "[options]\ninstall_requires =\n    six~=1.16\n"),
        ("pyproject.toml", '[project]\ndependencies = ["six[a]~=1.0; os_name == \'nt\'"]\n',
         "six", "2", '[project]\ndependencies = ["six[a]~=2; os_name == \'nt\'"]\n'),
        ("pyproject.toml", '[tool.poetry.dependencies]\na = "^1"\nb = {version = "^2", x = 1}\n',
         "b", "3", '[tool.poetry.dependencies]\na = "^1"\nb = {version = "^3", x = 1}\n'),
        ("Pipfile", '[packages]\nsix = "*"\n', "six", "1.16", '[packages]\nsix = "1.16"\n'),
        ("package.json", '{"devDependencies": {"a": "~1.0.0", "b": "1"}}', "a", "2.0.0",
         '{"devDependencies": {"a": "~2.0.0", "b": "1"}}'),
        ("go.mod", "require a.b/c v1.0.0 // indirect\n", "a.b/c", "v1.2.3",
         "require a.b/c v1.2.3 // indirect\n"),
    ],
)  # fmt: skip
def test_bumps_a_dependency_in_each_manifest(
    tmp_path: Path, path: str, before: str, name: str, version: str, after: str
) -> None:
    changed = applied(tmp_path, {path: before}, op="dependency_bump", name=name, version=version)

    assert changed == {path: after}


def test_bumps_the_project_itself_never(tmp_path: Path) -> None:
    files = {
        "pyproject.toml": '[project]\nname = "six"\nversion = "1.0"\nkeywords = ["six"]\n',
        "setup.py": "setup(name='six', packages=['six'])\n",
    }

    result = refused(tmp_path, files, op="dependency_bump", name="six", version="2")

    assert result.code == "unknown_dependency"


OLD = {"a.py": "class A(object):\n    def f(self):\n        return '{}'.format(self)\n"}


def test_fixes_by_rule_and_only_inside_the_paths(tmp_path: Path) -> None:
    write(tmp_path, {**OLD, "docs/b.py": OLD["a.py"], "vendor/c.py": OLD["a.py"]})
    operation = {"op": "ruff_fix", "select": ["UP004"]}

    result = order(tmp_path, operation, touches=("**",), forbid=("docs/**",))

    assert [edit.path for edit in result.edits] == ["a.py"]
    assert read(tmp_path)["a.py"].startswith("class A:\n")
    assert "'{}'.format" in read(tmp_path)["a.py"]


def test_never_applies_a_fix_that_may_change_behaviour(tmp_path: Path) -> None:
    assert applied(tmp_path, {"a.py": "x == None\n"}, op="ruff_fix", select=["E711"]) == {}


def test_ignores_the_configuration_of_the_repository(tmp_path: Path) -> None:
    files = {**OLD, "ruff.toml": 'exclude = ["a.py"]\n', ".gitignore": "a.py\n"}

    assert "a.py" in applied(tmp_path, files, op="ruff_fix", select=["UP004"])


@pytest.mark.parametrize(
    ("path", "content", "changed"),
    [
        ("pyproject.toml", '[project]\nrequires-python = ">=3.11"\n', True),
        ("pyproject.toml", '[project]\nrequires-python = ">=3.8"\n', False),
        ("pyproject.toml", '[tool.poetry.dependencies]\npython = "^3.12"\n', True),
        ("pyproject.toml", '[tool.flit.metadata]\nrequires-python = ">=3.11"\n', True),
        ("setup.cfg", "[options]\npython_requires = >3.10\n", True),
        ("setup.py", "setup(python_requires='~=3.11')\n", True),
        ("setup.py", "setup()\n", False),
        ("pyproject.toml", "not toml", False),
        ("setup.cfg", "not cfg", False),
    ],
)
def test_writes_for_the_oldest_python_that_the_project_supports(
    tmp_path: Path, path: str, content: str, changed: bool
) -> None:
    code = "from datetime import datetime, timezone\n\nx = datetime.now(timezone.utc)\n"

    after = applied(tmp_path, {path: content, "a.py": code}, op="ruff_fix", select=["UP017"])

    assert ("a.py" in after) == changed


@pytest.mark.parametrize(
    ("path", "content"),
    [
        ("setup.py", "setup(python_requires='>=2.7, !=3.0.*')\n"),
        ("setup.py", "setup(classifiers=['Programming Language :: Python :: 2.7'])\n"),
    ],
)
def test_refuses_to_modernise_what_must_run_on_python_two(
    tmp_path: Path, path: str, content: str
) -> None:
    result = refused(tmp_path, {**OLD, path: content}, op="ruff_fix", select=["UP004"])

    assert result.code == "python_two"


def test_formats_what_the_order_changed_in_the_project_s_width(tmp_path: Path) -> None:
    write(tmp_path, {
        "a.py": "x=f(old, 'aaaaaaaaaaaaaaaaaaaaaaaaaaa')\n",
        "b.py": "x=1\n",
        "pyproject.toml": "[tool.black]\nline-length = 30\n",
    })  # fmt: skip

    order(
        tmp_path,
        {"op": "replace_text", "paths": ["a.py"], "old": "old", "new": "new"},
        {"op": "format"},
    )

    assert read(tmp_path)["a.py"] == 'x = f(\n    new,\n    "aaaaaaaaaaaaaaaaaaaaaaaaaaa",\n)\n'
    assert read(tmp_path)["b.py"] == "x=1\n"


def test_says_how_to_mend_a_missing_ruff(tmp_path: Path) -> None:
    write(tmp_path, OLD)

    result = order(tmp_path, {"op": "ruff_fix", "select": ["UP004"]}, ruff="/nowhere/ruff")

    assert result.code == "ruff_missing"
    assert "/nowhere/ruff" in result.error


def generated(root: Path, then: str, style: str, files: dict[str, str] | None = None) -> str:
    criteria = [{"id": "A1", "when": "f(1)", "then": then}]
    write(root, files or {})
    order(
        root,
        {"op": "generate_tests", "path": "test_f.py", "module": "m", "criteria": criteria,
         "style": style},
    )  # fmt: skip
    return (root / "test_f.py").read_text()


@pytest.mark.parametrize(
    ("style", "then", "line"),
    [
        ("pytest", "returns None", "assert f(1) is None"),
        ("pytest", "contains 'a'", "assert 'a' in f(1)"),
        ("pytest", "raises KeyError", "with pytest.raises(KeyError):"),
        ("pytest", "raises KeyError with 'a(b)'", 'pytest.raises(KeyError, match=r"a\\(b\\)"):'),
        ("pytest", "raises KeyError with 'a\"b'", "match='a\"b'"),
        ("unittest", "returns 1.5", "self.assertAlmostEqual(f(1), 1.5)"),
        ("unittest", "contains 'a'", "self.assertIn('a', f(1))"),
        ("unittest", "raises KeyError", "with self.assertRaises(KeyError):"),
        ("unittest", "raises KeyError with 'a'", 'with self.assertRaisesRegex(KeyError, r"a"):'),
        ("unittest", "result > 2", "self.assertTrue(result > 2)"),
    ],
)  # fmt: skip
def test_writes_each_judgement_in_each_style(
    tmp_path: Path, style: str, then: str, line: str
) -> None:
    code = generated(tmp_path, then, style)

    assert line in code
    compile(code, "test_f.py", "exec")


@pytest.mark.parametrize(
    ("files", "pytest_style"),
    [
        ({}, False),
        ({"tests/test_x.py": "import unittest\n"}, False),
        ({"tests/test_x.py": "import os\n\ndef test_a(): ...\n"}, True),
        ({"conftest.py": ""}, True),
        ({"pyproject.toml": "[tool.pytest.ini_options]\n"}, True),
    ],
)
def test_follows_the_style_of_the_tests_that_are_there(
    tmp_path: Path, files: dict[str, str], pytest_style: bool
) -> None:
    code = generated(tmp_path, "returns 1", "auto", files)

    assert ("def test_a1_f_1():" in code) == pytest_style


def test_adds_tests_to_those_that_are_there(tmp_path: Path) -> None:
    generated(tmp_path, "returns 1", "unittest")
    more = [{"id": "A2", "when": "g(1)", "then": "returns 2"}]

    after = applied(
        tmp_path, {}, op="generate_tests", path="test_f.py", module="m", criteria=more,
        style="unittest",
    )["test_f.py"]  # fmt: skip

    assert "from m import f, g\n" in after
    assert after.count("class AcceptanceTests") == 1
    assert "    def test_a1_f_1(self):" in after
    assert "    def test_a2_g_1(self):" in after


@pytest.mark.parametrize("style", ["pytest", "unittest"])
def test_never_changes_a_test_that_is_there(tmp_path: Path, style: str) -> None:
    generated(tmp_path, "returns 1", style)
    criteria = [{"id": "A1", "when": "f(1)", "then": "returns 2"}]

    result = refused(
        tmp_path, {}, op="generate_tests", path="test_f.py", module="m", criteria=criteria,
        style=style,
    )  # fmt: skip

    assert result.code == "name_taken"


def test_says_which_words_it_does_not_understand(tmp_path: Path) -> None:
    criteria = [{"id": "A1", "when": "somebody pays", "then": "returns 2"}]

    result = refused(tmp_path, {}, op="generate_tests", path="t.py", module="m", criteria=criteria)

    assert "A1: when is not understood" in result.error
    assert "add is called with 2 and 3" in result.hint


def endpoint(**more: object) -> dict[str, object]:
    return {"op": "add_endpoint", "path": "app.py", "route": "/x", "function": "x", **more}


@pytest.mark.parametrize(
    ("files", "more", "code"),
    [
        ({"app.py": "x = 1\n"}, {}, "no_framework"),
        ({"app.py": "app = Flask()\n"}, {"framework": "fastapi"}, "no_framework"),
        ({"app.py": "app = Flask()\n"}, {"handler": "def y(): ..."}, "bad_code"),
        ({"app.py": 'app = FastAPI()\n@app.get("/x")\ndef y(): ...\n'}, {}, "route_taken"),
        ({"app.py": "def y(): ...\nROUTES = {('GET', '/x'): y}\n"}, {}, "route_taken"),
        ({"app.py": "print 1\n"}, {}, "not_python"),
        ({}, {}, "file_missing"),
    ],
)
def test_refuses_an_endpoint_that_has_no_place(
    tmp_path: Path, files: dict[str, str], more: dict[str, object], code: str
) -> None:
    assert refused(tmp_path, files, **endpoint(**more)).code == code


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("ROUTES = {}\n", 'ROUTES = {("GET", "/x"): x}\n'),
        ('ROUTES: d = {("GET", "/"): y}\n', 'ROUTES: d = {("GET", "/"): y, ("GET", "/x"): x}\n'),
        ('ROUTES = {\n    ("GET", "/"): y,\n}\n',
         'ROUTES = {\n    ("GET", "/"): y,\n    ("GET", "/x"): x,\n}\n'),
    ],
)  # fmt: skip
def test_adds_to_a_table_as_it_is_laid_out(tmp_path: Path, before: str, after: str) -> None:
    changed = applied(tmp_path, {"app.py": before}, **endpoint())

    assert changed["app.py"].endswith(f"    return {{}}\n\n\n{after}")


def test_passes_path_parameters_to_the_function(tmp_path: Path) -> None:
    files = {"app.py": "app = FastAPI()\n"}

    changed = applied(tmp_path, files, **endpoint(route="/a/{b}/{c}", method="POST"))

    assert '@app.post("/a/{b}/{c}")\ndef x(b: str, c: str):' in changed["app.py"]


@pytest.mark.parametrize(
    ("source", "more", "expected"),
    [
        ("p = ArgumentParser()\n", {"kind": "float", "default": 1.5},
         'p = ArgumentParser()\np.add_argument("--n", type=float, default=1.5)\n'),
        ("p = argparse.ArgumentParser()\nx = p.add_argument('a')\nq.add_argument('b')\n",
         {"help": "it's"},
         "p = argparse.ArgumentParser()\nx = p.add_argument('a')\n"
         "p.add_argument(\"--n\", help=\"it's\")\nq.add_argument('b')\n"),
        ("@click.command()\ndef f(a=1): ...\n", {"kind": "flag"},
         '@click.command()\n@click.option("--n", is_flag=True)\ndef f(a=1, *, n): ...\n'),
    ],
)  # fmt: skip
def test_adds_an_option_to_the_parser_that_is_there(
    tmp_path: Path, source: str, more: dict[str, object], expected: str
) -> None:
    changed = applied(
        tmp_path, {"c.py": source}, op="add_cli_option", path="c.py", option="--n", **more
    )

    assert changed["c.py"] == expected


def test_names_the_function_where_there_are_several_commands(tmp_path: Path) -> None:
    source = "@click.command()\ndef f(): ...\n\n\n@g.command('x')\ndef h(): ...\n"
    option = {"op": "add_cli_option", "path": "c.py", "option": "--n"}

    result = refused(tmp_path, {"c.py": source}, **option)
    changed = applied(tmp_path, {}, **option, function="h")

    assert result.code == "ambiguous"
    assert '@click.option("--n")\ndef h(n): ...' in changed["c.py"]


def test_finds_the_parser_of_a_function(tmp_path: Path) -> None:
    source = (
        "def a():\n    p = ArgumentParser()\n\n\ndef b():\n    p = ArgumentParser()\n    return p\n"
    )

    changed = applied(
        tmp_path, {"c.py": source}, op="add_cli_option", path="c.py", option="--n", function="b"
    )

    assert changed["c.py"].endswith('    p.add_argument("--n")\n    return p\n')


def test_refuses_an_option_without_a_parser(tmp_path: Path) -> None:
    result = refused(tmp_path, {"c.py": "x = 1\n"}, op="add_cli_option", path="c.py", option="--n")

    assert result.code == "no_parser"


def test_a_second_flag_joins_the_first(tmp_path: Path) -> None:
    flag = {"op": "add_feature_flag", "path": "pkg/flags.py"}
    order(tmp_path, {**flag, "name": "one"})

    changed = applied(tmp_path, {}, **flag, name="two", default=True)

    assert 'FLAGS = {\n    "one": False,\n    "two": True,\n}\n' in changed["pkg/flags.py"]


def test_a_flag_switches_its_function_when_run(tmp_path: Path) -> None:
    files = {"pkg/__init__.py": "", "pkg/a.py": "def f():\n    return 'new'\n"}
    applied(
        tmp_path, files, op="add_feature_flag", path="pkg/flags.py", name="new", guard="pkg.a.f",
        otherwise="'old'",
    )  # fmt: skip
    code = "from pkg.a import f; print(f())"

    said = [
        subprocess.run(
            [sys.executable, "-c", code], cwd=tmp_path, env={**os.environ, "FLAG_NEW": on},
            capture_output=True, text=True, check=True,
        ).stdout.strip()
        for on in ("0", "1")
    ]  # fmt: skip

    assert said == ["old", "new"]


@pytest.mark.parametrize(
    ("files", "guard", "code"),
    [
        ({"flags.py": "x = 1\n"}, "", "no_flags"),
        ({"flags.py": "print 1\n"}, "", "not_python"),
        ({"a.py": "class f: ...\n"}, "a.f", "not_a_function"),
        ({"a.py": "def f(): return 1\n"}, "a.f", "not_a_function"),
        ({"a.py": "enabled = 1\n\n\ndef f():\n    return 1\n"}, "a.f", "name_taken"),
    ],
)
def test_refuses_flags_that_have_no_place(
    tmp_path: Path, files: dict[str, str], guard: str, code: str
) -> None:
    result = refused(tmp_path, files, op="add_feature_flag", path="flags.py", name="n", guard=guard)

    assert result.code == code


def test_keeps_dead_imports_that_others_reach(tmp_path: Path) -> None:
    files = {
        "pkg/a.py": "import os\nimport re\nimport sys\nimport json\n",
        "pkg/b.py": "from pkg.a import re\nimport pkg.a as it\nprint(re, it.sys)\n",
        "pkg/c.py": "import pkg\nprint(pkg.a.json)\n",
        "pkg/__init__.py": "import os\n",
    }

    changed = applied(tmp_path, files, op="remove_dead_imports")

    assert changed == {"pkg/a.py": "import re\nimport sys\nimport json\n"}


def test_every_operation_has_a_handler() -> None:
    names = {
        choice["properties"]["op"]["const"] for choice in OPERATION.json_schema()["$defs"].values()
        if "op" in choice.get("properties", {})
    }  # fmt: skip

    assert names == set(HANDLERS)
    assert len(names) >= 22
    assert all(callable(handler(name)) for name in names)


def command(root: Path, *arguments: str, **more: object) -> "subprocess.CompletedProcess[bytes]":
    argv = [sys.executable, "-I", "-m", "integrations.builtin", *arguments]
    return subprocess.run(argv, cwd=root, capture_output=True, check=False, **more)  # type: ignore[call-overload, no-any-return]


def test_runs_as_a_command_that_never_imports_from_the_workspace(tmp_path: Path) -> None:
    work = tmp_path / "work"
    write(work, {"domain/__init__.py": "raise SystemExit(9)\n", "json.py": "raise SystemExit(9)\n"})
    operations = [{"op": "add_file", "path": "a.txt", "text": "x"}]
    (tmp_path / "order.json").write_text(json.dumps({"operations": operations}))
    reader, writer = os.pipe()

    def listen() -> None:
        os.dup2(writer, 3)

    ended = command(
        work, str(tmp_path / "order.json"), str(tmp_path / "result.json"), preexec_fn=listen,
        pass_fds=(3,) if writer == 3 else (),
        close_fds=False,
    )  # fmt: skip
    os.close(writer)
    with os.fdopen(reader) as events:
        told = [json.loads(line)["kind"] for line in events]

    result = json.loads((tmp_path / "result.json").read_text())
    assert (ended.returncode, result["status"]) == (0, "changed")
    assert (work / "a.txt").read_text() == "x"
    assert told == ["started", "edited"]


def test_a_failed_order_says_why_and_exits_with_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "order.json").write_text('{"operations": [{"op": "fly"}]}')

    code = main(["order.json", "result.json"])

    result = json.loads((tmp_path / "result.json").read_text())
    assert code == 1
    assert (result["status"], result["code"]) == ("failed", "order")
    assert "operations.0" in result["error"]


def test_a_wrong_call_tells_the_right_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    assert "ORDER.json RESULT.json" in capsys.readouterr().err
