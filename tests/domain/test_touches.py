"""Which paths an operation touches, and whether two globs can meet."""

from itertools import product
from typing import Any

import pytest
from pydantic import TypeAdapter

from domain.globs import matches
from domain.operation import PYTHON, Operation
from domain.touches import Ground, meet, meeting, touched_by, within

NAMES = ("a", "b", "c.py")
PATHS = tuple("/".join(each) for size in (1, 2, 3, 4) for each in product(NAMES, repeat=size))
GLOBS = (
    "**", "a", "a/", "a/*", "a/**", "*.py", "**/*.py", "a/**/b", "b/**/*.py", "*/b", "a/b/*",
    "?", "a/b", "c.py", "**/b/**", "[ab]/c.py", "*.p?", "c*y", "*c*.*", "/a", "./b",
)  # fmt: skip


@pytest.mark.parametrize("first", GLOBS)
def test_globs_meet_iff_one_path_matches_both(first: str) -> None:
    for second in GLOBS:
        possible = any(matches(path, (first,)) and matches(path, (second,)) for path in PATHS)

        assert meet(first, second) == possible, (first, second)


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ("ab*", "*ba", True), ("a*b", "a?c", False), ("a*b*c", "abbbc", True),
        ("*", "", False), ("test_*.py", "*_test.py", True), ("x?z", "*y", False),
        ("x?z", "xy", True),
        ("src/**/x", "src/x", True), ("src/**/x/y*", "src/x*", False),
    ],
)  # fmt: skip
def test_wildcards_meet_letter_by_letter(first: str, second: str, expected: bool) -> None:
    """A plain name may be a folder: `xy` covers `xy/xaz`."""
    assert meet(first, second) is expected
    assert meet(second, first) is expected


def test_names_the_globs_that_meet() -> None:
    assert meeting(("a/*", "src/**"), ("docs/**", "**/*.py")) == ("a/*", "**/*.py")
    assert meeting(("a/*",), ("b/*",)) is None
    assert meeting((), ("**",)) is None


@pytest.mark.parametrize(
    ("glob", "patterns", "expected"),
    [
        ("src/legacy/**", ("src/legacy/**",), True),
        ("src/legacy/a.py", ("src/legacy/**",), True),
        ("src/**", ("src/legacy/**",), False),
        ("src/*.py", ("*.py",), True),
        ("**", ("**/*.py",), False),
        ("[ab].py", ("*.py",), True),
        ("a?.py", ("a.py",), False),
        ("/a.py", ("/a.py",), True),
        ("/src/*.py", ("src/**",), True),
        ("./a.py", ("*.py",), True),
        ("/a.py", ("/src/**",), False),
    ],
)
def test_within_holds_only_where_nothing_is_left_outside(
    glob: str, patterns: tuple[str, ...], expected: bool
) -> None:
    assert within(glob, patterns) is expected


PATCH = """\
--- a/src/a.py
+++ b/src/a.py
@@ -1 +1 @@
-a
+b
--- /dev/null
+++ b/src/new.py
@@ -0,0 +1 @@
+c
"""


@pytest.mark.parametrize(
    ("operation", "touched"),
    [
        ({"op": "add_file", "path": "a.txt", "text": ""}, ("a.txt",)),
        ({"op": "move_file", "path": "a", "to": "b/c"}, ("a", "b/c")),
        ({"op": "apply_patch", "patch": PATCH}, ("src/a.py", "src/new.py")),
        ({"op": "ruff_fix", "select": ["UP"], "paths": ["src/**"]}, ("src/**",)),
        ({"op": "rename_symbol", "symbol": "a.b", "new_name": "c"}, PYTHON),
        ({"op": "replace_function", "symbol": "a.b", "code": "x"}, PYTHON),
        ({"op": "add_feature_flag", "path": "flags.py", "name": "x"}, ("flags.py",)),
        (
            {"op": "add_feature_flag", "path": "flags.py", "name": "x", "guard": "a.b"},
            (*PYTHON, "flags.py"),
        ),
    ],
)
def test_knows_what_an_operation_touches(
    operation: dict[str, Any], touched: tuple[str, ...]
) -> None:
    assert touched_by(TypeAdapter(Operation).validate_python(operation)) == touched


FILES = ("README.md", "docs/README.md", "src/app.py", "conf.d/x", "src/pkg/a.py")


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ("README.md", "CHANGELOG.md", False), ("README.md", "docs/**", True),
        ("README.md", "src/**", False), ("conf.d", "conf.d/y", True),
        ("src/app.py", "app.py", True), ("src/app.py", "src/app.py/x", False),
        ("pkg", "src/pkg/b.py", True), ("newdir", "newdir/x", True), ("new.py", "lib/**", False),
        ("pkg/", "src/**", True), ("x", "y", False), ("/README.md", "./README.md", True),
        ("/", "src/**", True), ("", "src/**", False),
        (".", "src/**", True),
    ],
)  # fmt: skip
def test_on_the_ground_a_plain_name_is_what_the_commit_has_under_it(
    first: str, second: str, expected: bool
) -> None:
    ground = Ground(FILES)

    assert (ground.meeting((first,), (second,)) is not None) is expected
    assert (ground.meeting((second,), (first,)) is not None) is expected
