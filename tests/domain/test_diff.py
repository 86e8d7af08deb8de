"""Reading a unified diff."""

from domain.diff import ChangedLine, changed_lines

DIFF = """\
diff --git a/src/a.py b/src/a.py
index 1111111..2222222 100644
--- a/src/a.py
+++ b/src/a.py
@@ -3 +3,2 @@ def f():
-    return 1
+    return 2
+++ counter
@@ -10,2 +11,0 @@
--- dashes
-gone
\\ No newline at end of file
diff --git a/new name.txt b/new name.txt
new file mode 100644
--- /dev/null
+++ b/new name.txt\t
@@ -0,0 +1 @@
+hello
"""


def test_reads_added_and_removed_lines_with_their_numbers() -> None:
    assert changed_lines(DIFF) == (
        ChangedLine(path="src/a.py", text="    return 1", added=False),
        ChangedLine(path="src/a.py", text="    return 2", added=True, line=3),
        ChangedLine(path="src/a.py", text="++ counter", added=True, line=4),
        ChangedLine(path="src/a.py", text="-- dashes", added=False),
        ChangedLine(path="src/a.py", text="gone", added=False),
        ChangedLine(path="new name.txt", text="hello", added=True, line=1),
    )


def test_reads_names_that_git_quotes() -> None:
    diff = '--- /dev/null\n+++ "b/q\\"uo\\te\\303\\274.txt"\n@@ -0,0 +1 @@\n+x\n'

    assert [line.path for line in changed_lines(diff)] == ['q"uo\teü.txt']


def test_a_header_without_a_known_prefix_names_no_path() -> None:
    assert changed_lines("--- x\n+++ /dev/null\n@@ -1 +0,0 @@\n-x\n")[0].path == ""


def test_an_empty_diff_has_no_lines() -> None:
    assert changed_lines("") == ()
