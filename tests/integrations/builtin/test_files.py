"""Whole files, patches and text."""

from pathlib import Path

import pytest

from tests.integrations.builtin.workspace import applied, order, read, refused, write


def test_adds_a_file(tmp_path: Path) -> None:
    assert applied(tmp_path, {}, op="add_file", path="a/b.txt", text="x\n") == {"a/b.txt": "x\n"}


def test_adds_a_program(tmp_path: Path) -> None:
    order(tmp_path, {"op": "add_file", "path": "run", "text": "#!/bin/sh\n", "executable": True})

    assert (tmp_path / "run").stat().st_mode & 0o111 == 0o111


def test_refuses_to_write_over_another_text(tmp_path: Path) -> None:
    result = refused(tmp_path, {"a.txt": "y\n"}, op="add_file", path="a.txt", text="x\n")

    assert result.code == "file_exists"


@pytest.mark.parametrize("path", ["../x", "/etc/x", ".git/config", "a//b", "a/../../b", ""])
def test_no_path_leaves_the_tree(tmp_path: Path, path: str) -> None:
    with pytest.raises(ValueError, match=r"path|\.git"):
        order(tmp_path, {"op": "add_file", "path": path, "text": "x"})


def test_never_writes_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "tree").mkdir()
    (tmp_path / "outside").mkdir()
    (tmp_path / "tree/link").symlink_to(tmp_path / "outside")

    result = order(tmp_path / "tree", {"op": "add_file", "path": "link/x", "text": "x"})

    assert result.code == "link"
    assert list((tmp_path / "outside").iterdir()) == []


def test_never_edits_what_a_link_leads_to(tmp_path: Path) -> None:
    write(tmp_path, {"outside/a.txt": "old\n", "tree/b.txt": "old\n"})
    (tmp_path / "tree/circle").symlink_to(tmp_path / "tree")
    (tmp_path / "tree/folder").symlink_to(tmp_path / "outside")
    (tmp_path / "tree/file.txt").symlink_to(tmp_path / "outside/a.txt")
    operation = {"op": "replace_text", "paths": ["**"], "old": "old", "new": "x"}

    result = order(tmp_path / "tree", operation)

    assert [edit.path for edit in result.edits] == ["b.txt"]
    assert (tmp_path / "outside/a.txt").read_text() == "old\n"
    assert (tmp_path / "tree/file.txt").is_symlink()


def test_refuses_paths_outside_the_task(tmp_path: Path) -> None:
    operation = {"op": "add_file", "path": "docs/a.md", "text": "x"}

    outside = order(tmp_path, operation, touches=("src/**",))
    forbidden = order(tmp_path, operation, forbid=("docs/**",))

    assert (outside.code, forbidden.code) == ("outside_paths", "outside_paths")


def test_fills_a_template(tmp_path: Path) -> None:
    changed = applied(
        tmp_path,
        {},
        op="add_file_from_template",
        path="a.py",
        template="{{name}} = {{ value }}\n",
        values={"name": "x", "value": "{{name}}"},
    )

    assert changed == {"a.py": "x = {{name}}\n"}


def test_refuses_a_template_without_its_value(tmp_path: Path) -> None:
    result = refused(tmp_path, {}, op="add_file_from_template", path="a", template="{{x}}{{y}}")

    assert "x, y" in result.error


def test_deletes_a_file(tmp_path: Path) -> None:
    applied(tmp_path, {"a.txt": "x\n", "b.txt": "y\n"}, op="delete_file", path="a.txt")

    assert read(tmp_path) == {"b.txt": "y\n"}


def test_moves_a_file(tmp_path: Path) -> None:
    applied(tmp_path, {"a.txt": "x\n"}, op="move_file", path="a.txt", to="b/c.txt")

    assert read(tmp_path) == {"b/c.txt": "x\n"}


def test_refuses_to_move_nothing_or_onto_something(tmp_path: Path) -> None:
    missing = refused(tmp_path, {}, op="move_file", path="a.txt", to="b.txt")
    occupied = refused(
        tmp_path, {"a.txt": "1", "b.txt": "2"}, op="move_file", path="a.txt", to="b.txt"
    )

    assert (missing.code, occupied.code) == ("file_missing", "file_exists")


PATCH = """\
diff --git a/a.txt b/a.txt
--- a/a.txt
+++ b/a.txt
@@ -1,3 +1,4 @@
 one
-two
+TWO
+two and a half
 three
diff --git a/new.txt b/new.txt
new file mode 100644
--- /dev/null
+++ b/new.txt
@@ -0,0 +1,2 @@
+fresh
+file
"""


def test_applies_a_patch(tmp_path: Path) -> None:
    changed = applied(tmp_path, {"a.txt": "one\ntwo\nthree\n"}, op="apply_patch", patch=PATCH)

    assert changed == {"a.txt": "one\nTWO\ntwo and a half\nthree\n", "new.txt": "fresh\nfile\n"}


def test_applies_a_patch_whose_lines_have_moved(tmp_path: Path) -> None:
    changed = applied(
        tmp_path, {"a.txt": "zero\n\none\ntwo\nthree\n"}, op="apply_patch", patch=PATCH
    )

    assert changed["a.txt"] == "zero\n\none\nTWO\ntwo and a half\nthree\n"


def test_deletes_a_file_by_patch(tmp_path: Path) -> None:
    patch = "--- a/a.txt\n+++ /dev/null\n@@ -1,2 +0,0 @@\n-one\n-two\n"

    applied(tmp_path, {"a.txt": "one\ntwo\n"}, op="apply_patch", patch=patch)

    assert read(tmp_path) == {}


def test_inserts_by_patch_without_context(tmp_path: Path) -> None:
    patch = "--- a/a.txt\n+++ b/a.txt\n@@ -2,0 +3 @@\n+three\n"

    changed = applied(tmp_path, {"a.txt": "one\ntwo\nfour\n"}, op="apply_patch", patch=patch)

    assert changed == {"a.txt": "one\ntwo\nthree\nfour\n"}


@pytest.mark.parametrize(
    ("content", "patch", "code"),
    [
        ("one\n2\nthree\n", PATCH, "patch_misfit"),
        ("one\ntwo\nthree\n", "nothing", "patch"),
        ("one\ntwo\nthree\n", "--- a/a.txt\n+++ b/a.txt\n@@ -1,3 +1,3 @@\n one\n", "patch"),
        ("x\n", "--- a/a.txt\n+++ b/c.txt\n@@ -1 +1 @@\n-x\n+y\n", "patch"),
        ("x\n", "--- a/q.txt\n+++ b/q.txt\n@@ -1 +1 @@\n-x\n+y\n", "file_missing"),
        ("x\n", "Binary files a/x and b/x differ\n", "patch"),
    ],
)
def test_refuses_a_patch_that_does_not_fit(
    tmp_path: Path, content: str, patch: str, code: str
) -> None:
    assert refused(tmp_path, {"a.txt": content}, op="apply_patch", patch=patch).code == code


def test_a_patch_cannot_leave_the_tree(tmp_path: Path) -> None:
    patch = "--- /dev/null\n+++ b/../x\n@@ -0,0 +1 @@\n+x\n"

    result = refused(tmp_path, {}, op="apply_patch", patch=patch)

    assert result.code == "patch"


def test_replaces_exact_text(tmp_path: Path) -> None:
    files = {"a.txt": "x (1) x\n", "b.md": "x (1)\n"}

    changed = applied(
        tmp_path, files, op="replace_text", paths=("*.txt",), old="x (1)", new="y", expected=1
    )

    assert changed == {"a.txt": "y x\n"}


def test_a_replacement_that_contains_the_old_text_is_made_once(tmp_path: Path) -> None:
    changed = applied(
        tmp_path, {"a.txt": "ab b\n"}, op="replace_text", paths=("**",), old="b", new="ab"
    )

    assert changed == {"a.txt": "ab ab\n"}


def test_refuses_another_number_of_places_than_expected(tmp_path: Path) -> None:
    result = refused(
        tmp_path, {"a": "x x"}, op="replace_text", paths=("**",), old="x", new="y", expected=1
    )

    assert "found it 2 times" in result.error


def test_replaces_by_pattern(tmp_path: Path) -> None:
    changed = applied(
        tmp_path,
        {"a.txt": "v1.2 and v3.4\n"},
        op="regex_replace",
        paths=("**",),
        pattern=r"\bv(\d+)\.(\d+)\b",
        replacement=r"\2-\1",
    )

    assert changed == {"a.txt": "2-1 and 4-3\n"}


@pytest.mark.parametrize(
    ("pattern", "replacement", "limit", "code"),
    [
        ("(", "x", 9, "pattern"),
        ("(?=a)a", "x", 9, "pattern"),
        ("a", "aa", 9, "not_idempotent"),
        ("a", "b", 2, "limit"),
        ("(a)", r"\7", 9, "replacement"),
    ],
)
def test_refuses_patterns_that_are_wrong_endless_or_too_wide(
    tmp_path: Path, pattern: str, replacement: str, limit: int, code: str
) -> None:
    result = refused(
        tmp_path,
        {"x.txt": "a a a\n"},
        op="regex_replace",
        paths=("**",),
        pattern=pattern,
        replacement=replacement,
        limit=limit,
    )

    assert result.code == code


def test_leaves_binary_vendored_generated_and_large_files_alone(tmp_path: Path) -> None:
    write(tmp_path, {"vendor/a.txt": "old\n", "gen.py": "# Code generated. DO NOT EDIT.\nold\n"})
    (tmp_path / "b.bin").write_bytes(b"old\0")
    (tmp_path / "latin.txt").write_bytes(b"old \xff\n")
    (tmp_path / "large.txt").write_bytes(b"old\n" * 600_000)
    (tmp_path / "mixed.txt").write_bytes(b"old\r\nold\n")

    result = order(tmp_path, {"op": "replace_text", "paths": ["**"], "old": "old", "new": "x"})

    assert result.status == "no_change"


def test_adds_a_line_to_a_changelog(tmp_path: Path) -> None:
    files = {"CHANGELOG.md": "# Changelog\n\n## [1.0.0]\n\n- First.\n"}

    changed = applied(tmp_path, files, op="update_changelog", section="Added", text="Flags.")

    assert changed["CHANGELOG.md"] == (
        "# Changelog\n\n## [Unreleased]\n\n### Added\n\n- Flags.\n\n## [1.0.0]\n\n- First.\n"
    )


def test_adds_a_line_behind_those_of_its_section(tmp_path: Path) -> None:
    files = {
        "CHANGELOG.md": (
            "# Changelog\n\n## [Unreleased]\n\n### Added\n\n- One.\n\n### Fixed\n\n- Two.\n"
        )
    }

    changed = applied(tmp_path, files, op="update_changelog", section="Added", text="More.")

    assert changed["CHANGELOG.md"] == (
        "# Changelog\n\n## [Unreleased]\n\n### Added\n\n- One.\n- More.\n\n### Fixed\n\n- Two.\n"
    )


def test_a_failed_operation_undoes_those_before_it(tmp_path: Path) -> None:
    result = order(
        tmp_path,
        {"op": "add_file", "path": "a.txt", "text": "x"},
        {"op": "replace_text", "paths": ["**"], "old": "q", "new": "r", "expected": 1},
    )

    assert result.status == "failed"
    assert result.error.startswith("operation 2 (replace_text): ")
    assert read(tmp_path) == {}


def test_a_later_operation_sees_what_an_earlier_one_did(tmp_path: Path) -> None:
    order(
        tmp_path,
        {"op": "add_file", "path": "a.txt", "text": "x"},
        {"op": "replace_text", "paths": ["**"], "old": "x", "new": "y"},
        {"op": "move_file", "path": "a.txt", "to": "b.txt"},
    )

    assert read(tmp_path) == {"b.txt": "y"}


def test_a_dry_run_tells_and_writes_nothing(tmp_path: Path) -> None:
    write(tmp_path, {"a.txt": "x\n"})

    result = order(
        tmp_path,
        {"op": "replace_text", "paths": ["**"], "old": "x", "new": "y\nz"},
        dry_run=True,
    )

    (edit,) = result.edits
    assert (result.status, edit.path, edit.insertions, edit.deletions) == ("changed", "a.txt", 2, 1)
    assert read(tmp_path) == {"a.txt": "x\n"}
