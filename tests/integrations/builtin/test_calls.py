"""Replace and wrap calls; imports follow."""

from pathlib import Path

import pytest

from tests.integrations.builtin.workspace import applied, text


def replaced(root: Path, code: str, old: str, new: str, **more: object) -> str:
    files = {"a.py": code}
    changed = applied(root, files, op="replace_call", old=old, new=new, **more)
    return changed.get("a.py", text(code))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("import os\nos.getcwd()\n", "import pathlib\npathlib.Path.cwd()\n"),
        ("from os import getcwd\ngetcwd()\n", "from pathlib import Path\nPath.cwd()\n"),
        (
            "import os\nos.getcwd()\nos.sep\n",
            "import os\nimport pathlib\npathlib.Path.cwd()\nos.sep\n",
        ),
        (
            "import os\nfrom pathlib import Path\nPath(os.getcwd())\n",
            "from pathlib import Path\nPath(Path.cwd())\n",
        ),
        ("import os as o\no.getcwd()\n", "import pathlib\npathlib.Path.cwd()\n"),
    ],
)
def test_spells_the_new_function_as_the_file_does(tmp_path: Path, before: str, after: str) -> None:
    assert replaced(tmp_path, before, "os.getcwd", "pathlib:Path.cwd") == after


def test_renames_keyword_arguments(tmp_path: Path) -> None:
    code = "from old import f\nf(1, colour='red', size=2)\n"

    changed = replaced(tmp_path, code, "old.f", "new.g", keywords={"colour": "color"})

    assert changed == "from new import g\ng(1, color='red', size=2)\n"


def test_leaves_what_only_looks_like_the_call(tmp_path: Path) -> None:
    code = """
        import old


        def g(old):
            return old.f(1), x.f(2), old.f


        other = old.f
    """

    assert replaced(tmp_path, code, "old.f", "new.g") == text(code)


def test_replaces_a_builtin_only_where_it_is_one(tmp_path: Path) -> None:
    code = "def f(print):\n    print(1)\n\n\nprint(2)\n"

    assert replaced(tmp_path, code, "print", "log.say") == (
        "from log import say\n\n\ndef f(print):\n    print(1)\n\n\nsay(2)\n"
    )


def test_follows_re_exports_of_our_own_packages(tmp_path: Path) -> None:
    files = {
        "pkg/__init__.py": "from .a import old\n",
        "pkg/a.py": "def old(x):\n    return x\n\n\ndef new(x):\n    return old(x)\n",
        "t.py": "import pkg\npkg.old(1)\n",
        "u.py": "from pkg import old\nold(old(1))\n",
    }

    changed = applied(tmp_path, files, op="replace_call", old="pkg.a.old", new="pkg.a.new")

    assert changed["t.py"] == "import pkg.a\npkg.a.new(1)\n"
    assert changed["u.py"] == "from pkg.a import new\nnew(new(1))\n"
    assert "pkg/a.py" not in changed
    assert "pkg/__init__.py" not in changed


def test_says_which_file_has_no_free_name(tmp_path: Path) -> None:
    code = "from old import f\n\n\ndef h(g, new):\n    return f(g, new)\n"

    assert replaced(tmp_path, code, "old.f", "new.g") == code


def test_wraps_a_call_once(tmp_path: Path) -> None:
    files = {"a.py": "import json\n\nx = json.loads(y)\n"}

    changed = applied(tmp_path, files, op="wrap_call", call="json.loads", wrapper="checks.valid")

    assert changed["a.py"] == ("import json\nimport checks\n\nx = checks.valid(json.loads(y))\n")
