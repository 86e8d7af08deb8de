"""Globs over repository paths."""

import time

import pytest

from domain.globs import covered, matches, uncovered


@pytest.mark.parametrize(
    ("pattern", "path"),
    [
        ("**", "a"),
        ("**", "a/b/c.py"),
        ("/", "a/b"),
        ("*.py", "a.py"),
        ("*.py", "deep/down/a.py"),
        ("README.md", "README.md"),
        ("README.md", "docs/README.md"),
        ("/README.md", "README.md"),
        ("./src/a.py", "src/a.py"),
        ("src/*.py", "src/a.py"),
        ("src/**", "src/a/b.py"),
        ("src/**/*.py", "src/a.py"),
        ("src/**/*.py", "src/x/y/a.py"),
        ("**/test_*.py", "test_a.py"),
        ("**/test_*.py", "x/test_a.py"),
        ("src", "src/a/b.py"),
        ("src/", "src/a/b.py"),
        ("src/app", "src/app/b.py"),
        ("src/app", "src/app"),
        ("build/", "x/build/a"),
        (".github/", ".github/workflows/ci.yml"),
        ("a?.txt", "ab.txt"),
        ("[ab].txt", "b.txt"),
        ("[!ab].txt", "c.txt"),
        ("naïve dir/*", 'naïve dir/über "x"\n.py'),
        ("a/**", "a/b"),
    ],
)
def test_covers(pattern: str, path: str) -> None:
    assert matches(path, (pattern,))


@pytest.mark.parametrize(
    ("pattern", "path"),
    [
        ("", "a"),
        ("src/*.py", "src/x/a.py"),
        ("src/*", "src/x/a.py"),
        ("src/*.py", "lib/src/a.py"),
        ("/README.md", "docs/README.md"),
        ("src/", "src"),
        ("src", "srcs/a.py"),
        ("src/**", "src"),
        ("*.py", "a.pyi"),
        ("*.PY", "a.py"),
        ("[!ab].txt", "a.txt"),
        ("a?.txt", "a/.txt"),
        ("**/x", "y"),
        ("x/y/**", "z"),
    ],
)
def test_does_not_cover(pattern: str, path: str) -> None:
    assert not matches(path, (pattern,))


def test_no_pattern_covers_nothing() -> None:
    assert not matches("a.py", ())


def test_splits_paths_into_covered_and_uncovered() -> None:
    paths = ("src/a.py", "docs/b.md", "c.py")

    assert covered(paths, ("*.py",)) == ("src/a.py", "c.py")
    assert uncovered(paths, ("*.py",)) == ("docs/b.md",)


def test_hostile_pattern_is_answered_at_once() -> None:
    started = time.process_time()

    assert not matches("/".join("a" * 60), ("/".join(["**", "a*a*a*a*a*a*a*b"] * 30),))
    assert not matches("a" * 200, ("a*" * 40 + "b",))
    assert time.process_time() - started < 1
