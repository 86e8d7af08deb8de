"""Functions, methods, parameters, fields, decorators, imports, moves and shapes."""

from pathlib import Path

import pytest

from tests.integrations.builtin.workspace import applied, read, refused, text

MODULE = '''
    """A module."""

    import os


    def first(a, b=1):
        """Doc."""
        return a


    # about the class
    class Thing:
        x: int
        y: int = 2

        def method(self):
            return 1


    if __name__ == "__main__":
        first(1)
'''


def changed(root: Path, source: str = MODULE, **operation: object) -> str:
    return applied(root, {"m.py": source}, **operation)["m.py"]


def test_inserts_a_function_before_the_script_part(tmp_path: Path) -> None:
    code = "def second():\n    return 2\n"

    after = changed(tmp_path, op="insert_function", path="m.py", code=code)

    assert "        return 1\n\n\ndef second():\n    return 2\n\n\nif __name__" in after


def test_inserts_a_function_behind_another(tmp_path: Path) -> None:
    after = changed(
        tmp_path, op="insert_function", path="m.py", code="def second(): ...\n", after="first"
    )

    assert "    return a\n\n\ndef second(): ...\n\n\n# about the class\nclass" in after


def test_refuses_a_second_definition_of_a_name(tmp_path: Path) -> None:
    result = refused(
        tmp_path, {"m.py": MODULE}, op="insert_function", path="m.py", code="def first(): ..."
    )

    assert result.code == "name_taken"


@pytest.mark.parametrize("code", ["x = 1", "def f(:", "def f(): ...\ndef g(): ...\n", ""])
def test_refuses_code_that_is_not_one_definition(tmp_path: Path, code: str) -> None:
    result = refused(tmp_path, {"m.py": MODULE}, op="insert_function", path="m.py", code=code)

    assert result.code == "bad_code"


def test_replaces_a_function_and_keeps_comments_above(tmp_path: Path) -> None:
    after = changed(
        tmp_path, op="replace_function", symbol="m.Thing", code="class Thing:\n    z = 3\n"
    )

    assert "# about the class\nclass Thing:\n    z = 3\n\n\nif" in after


def test_replaces_a_method(tmp_path: Path) -> None:
    after = changed(
        tmp_path,
        op="replace_function",
        symbol="m:Thing.method",
        code="def method(self):\n    return 3\n",
    )

    assert after == text(MODULE).replace("return 1", "return 3")


def test_refuses_to_replace_what_is_not_there(tmp_path: Path) -> None:
    code = "def absent(): ..."
    missing = refused(
        tmp_path, {"m.py": MODULE}, op="replace_function", symbol="m.absent", code=code
    )
    nowhere = refused(
        tmp_path, {"m.py": MODULE}, op="replace_function", symbol="q.absent", code=code
    )

    assert (missing.code, nowhere.code) == ("symbol_missing", "module_missing")


def test_inserts_a_method(tmp_path: Path) -> None:
    after = changed(
        tmp_path, op="insert_method", symbol="m.Thing", code="def more(self):\n    return 2\n"
    )

    assert "        return 1\n\n    def more(self):\n        return 2\n\n\nif" in after


def test_a_method_takes_the_place_of_an_empty_body(tmp_path: Path) -> None:
    after = changed(
        tmp_path,
        "class A:\n    pass\n",
        op="insert_method",
        symbol="m.A",
        code="def f(self):\n    return 2\n",
    )

    assert after == "class A:\n    def f(self):\n        return 2\n"


@pytest.mark.parametrize(
    ("default", "expected"),
    [("", "x: int\n    z: str\n    y: int = 2\n"), ("None", "y: int = 2\n    z: str = None\n")],
)
def test_adds_a_field_where_its_default_allows(tmp_path: Path, default: str, expected: str) -> None:
    after = changed(
        tmp_path,
        op="add_dataclass_field",
        symbol="m.Thing",
        name="z",
        annotation="str",
        default=default,
    )

    assert expected in after


def test_decorates_and_imports(tmp_path: Path) -> None:
    after = changed(
        tmp_path,
        op="add_decorator",
        symbol="m.first",
        decorator="lru_cache(maxsize=8)",
        module="functools",
        name="lru_cache",
    )

    assert "import os\nfrom functools import lru_cache\n" in after
    assert "@lru_cache(maxsize=8)\ndef first(a, b=1):" in after


@pytest.mark.parametrize(
    ("signature", "more", "expected"),
    [
        ("a, b=1", {"default": "None"}, "a, b=1, c=None"),
        ("", {"default": "0", "annotation": "int"}, "c: int = 0"),
        ("a", {"default": "0", "keyword_only": True}, "a, *, c=0"),
        ("a, *rest", {"default": "0"}, "a, *rest, c=0"),
        ("a, *, k", {"default": "0"}, "a, *, k, c=0"),
        ("a, **more", {"default": "0"}, "a, c=0, **more"),
        ("a, b=1", {"argument": "9"}, "a, b=1, *, c"),
    ],
)
def test_adds_a_parameter_where_the_signature_allows(
    tmp_path: Path, signature: str, more: dict[str, object], expected: str
) -> None:
    code = f"def f({signature}):\n    return a\n"

    after = changed(tmp_path, code, op="add_parameter", symbol="m.f", name="c", **more)

    assert after == f"def f({expected}):\n    return a\n"
    compile(after, "m.py", "exec")


def test_passes_an_argument_at_each_call(tmp_path: Path) -> None:
    files = {
        "pkg/__init__.py": "",
        "pkg/m.py": "def f(a):\n    return a\n",
        "u.py": "from pkg.m import f\nf(1)\nf(2, c=3)\ng.f(1)\nf(**x)\n",
    }

    after = applied(
        tmp_path, files, op="add_parameter", symbol="pkg.m.f", name="c", argument="None"
    )

    assert after["pkg/m.py"] == "def f(a, c):\n    return a\n"
    assert after["u.py"] == "from pkg.m import f\nf(1, c=None)\nf(2, c=3)\ng.f(1)\nf(**x)\n"


def test_refuses_a_parameter_that_breaks_callers(tmp_path: Path) -> None:
    result = refused(tmp_path, {"m.py": MODULE}, op="add_parameter", symbol="m.first", name="c")

    assert result.code == "breaks_callers"


def test_changes_a_default(tmp_path: Path) -> None:
    after = changed(tmp_path, op="change_default", symbol="m.first", name="b", default="2")

    assert "def first(a, b=2):" in after


def test_refuses_a_default_before_parameters_without_one(tmp_path: Path) -> None:
    result = refused(
        tmp_path,
        {"m.py": "def f(a, b): ...\n"},
        op="change_default",
        symbol="m.f",
        name="a",
        default="2",
    )

    assert result.code == "parameter_order"


@pytest.mark.parametrize(
    ("code", "module", "name", "expected"),
    [
        ("x = 1\n", "os", "", "import os\n\nx = 1\n"),
        ('"""Doc."""\n\nx = 1\n', "os", "", '"""Doc."""\n\nimport os\n\nx = 1\n'),
        ("import os\nimport sys\n", "re", "", "import os\nimport sys\nimport re\n"),
        ("from a import b, d\n", "a", "c", "from a import b, c, d\n"),
        (
            "from __future__ import annotations\n\nx = 1\n",
            "os",
            "",
            "from __future__ import annotations\nimport os\n\nx = 1\n",
        ),
        (
            "from a import (\n    b,\n)\n",
            "a",
            "c",
            "from a import (\n    b,\n)\nfrom a import c\n",
        ),
    ],
)
def test_imports_where_imports_are(
    tmp_path: Path, code: str, module: str, name: str, expected: str
) -> None:
    after = changed(tmp_path, code, op="ensure_import", path="m.py", module=module, name=name)

    assert after == expected


def test_imports_with_an_alias(tmp_path: Path) -> None:
    after = changed(
        tmp_path, "x = 1\n", op="ensure_import", path="m.py", module="numpy", alias="np"
    )

    assert after == "import numpy as np\n\nx = 1\n"


def test_removes_an_import_only_where_nothing_uses_it(tmp_path: Path) -> None:
    files = {
        "a.py": "import os\nimport sys\nsys.exit()\n",
        "b.py": "import os\nos.sep\n",
        "c.py": "import os  # noqa\n",
        "d.py": "import os, sys\nsys.exit()\n",
        "e.py": 'import os\n__all__ = ["os"]\n',
        "pkg/__init__.py": "import os\n",
    }

    after = applied(tmp_path, files, op="remove_import", module="os")

    assert after == {
        "a.py": "import sys\nsys.exit()\n",
        "d.py": "import sys\nsys.exit()\n",
    }


def test_removes_one_name_of_an_import(tmp_path: Path) -> None:
    after = changed(
        tmp_path,
        "from typing import (\n    Any,\n    List,\n)\nx: Any = 1\n",
        op="remove_import",
        module="typing",
        name="List",
    )

    assert after == "from typing import (\n    Any,\n)\nx: Any = 1\n"


def test_moves_a_definition_with_what_it_needs(tmp_path: Path) -> None:
    files = {
        "pkg/__init__.py": "",
        "pkg/a.py": """
            import json
            import os


            # comment
            def moved(x):
                return json.dumps(x)


            def stays():
                return moved(os.sep)
        """,
        "pkg/b.py": '"""Target."""\n\n\ndef there():\n    return 1\n',
        "u.py": "from pkg.a import moved, stays\nmoved(1)\n",
    }

    after = applied(tmp_path, files, op="move_symbol", symbol="pkg.a.moved", to="pkg.b")

    assert after["pkg/a.py"] == text("""
        import os
        from pkg.b import moved


        def stays():
            return moved(os.sep)
    """)
    assert after["pkg/b.py"] == text('''
        """Target."""

        import json


        def there():
            return 1


        # comment
        def moved(x):
            return json.dumps(x)
    ''')
    assert after["u.py"] == "from pkg.a import stays\nfrom pkg.b import moved\nmoved(1)\n"


def test_moves_to_a_module_that_is_new(tmp_path: Path) -> None:
    files = {"src/pkg/__init__.py": "", "src/pkg/a.py": "LIMIT = 3\nother = 1\n"}

    after = applied(tmp_path, files, op="move_symbol", symbol="pkg.a.LIMIT", to="pkg.limits")

    assert after == {"src/pkg/a.py": "other = 1\n", "src/pkg/limits.py": "LIMIT = 3\n"}


def test_refuses_a_move_that_would_import_in_a_circle(tmp_path: Path) -> None:
    files = {"a.py": "X = 1\n\n\ndef f():\n    return X\n"}

    result = refused(tmp_path, files, op="move_symbol", symbol="a.f", to="b")

    assert result.code == "circle"


@pytest.mark.parametrize(
    ("pattern", "replacement", "code", "expected"),
    [
        ("$A.has_key($K)", "$K in $A", "d.has_key('x')", "'x' in d"),
        ("f($X, $$$REST)", "g($X, $$$REST)", "f(1, 2, k=3)\nf(1)", "g(1, 2, k=3)\ng(1)"),
        ("f(a, $$$R)", "f($$$R)", "f(a,  b, c)", "f(b, c)"),
        ("not $A == $B", "$A != $B", "not  x == y", "x != y"),
        ("$X * 2", "twice($X)", "(a + b) * 2", "twice((a + b))"),
        ("sq($X)", "$X ** 2", "sq(a + b)\nsq(a)", "(a + b) ** 2\na ** 2"),
        ("$A == $A", "True", "x == x or x == y", "True or x == y"),
        ('open($F, "r")', "open($F)", "open(p, 'r')", "open(p)"),
    ],
)
def test_rewrites_by_shape(
    tmp_path: Path, pattern: str, replacement: str, code: str, expected: str
) -> None:
    after = changed(
        tmp_path,
        code + "\n",
        op="structural_rewrite",
        pattern=pattern,
        replacement=replacement,
    )

    assert after == expected + "\n"


@pytest.mark.parametrize(
    ("pattern", "replacement", "code"),
    [
        ("f($X", "g($X)", "pattern"),
        ("f($X)", "g($Y)", "pattern"),
        ("f($X)", "f(f($X))", "not_idempotent"),
    ],
)
def test_refuses_shapes_that_make_no_sense(
    tmp_path: Path, pattern: str, replacement: str, code: str
) -> None:
    result = refused(
        tmp_path,
        {"m.py": "f(1)\n"},
        op="structural_rewrite",
        pattern=pattern,
        replacement=replacement,
    )

    assert result.code == code


def test_what_is_not_python_three_is_left_alone(tmp_path: Path) -> None:
    old = "print 'old'\nf(1)\n"

    applied(
        tmp_path,
        {"two.py": old, "three.py": "f(1)\n"},
        op="structural_rewrite",
        pattern="f($X)",
        replacement="g($X)",
    )

    assert read(tmp_path) == {"two.py": old, "three.py": "g(1)\n"}
