"""Rename by scope: definition, imports, uses; strangers of the same name stay."""

import shutil
from pathlib import Path

import domain
from tests.integrations.builtin.workspace import applied, order, read, refused, text, write

CORE = """
    def old(x):
        \"\"\"old, in words.\"\"\"
        return x


    def other(old):
        return old


    def user():
        return f"{old(3)!r} old"
"""


def rename(root: Path, files: dict[str, str], **more: object) -> dict[str, str]:
    operation = {"op": "rename_symbol", "symbol": "pkg.core.old", "new_name": "new", **more}
    return applied(root, files, **operation)


def test_renames_definition_and_uses_but_no_parameter_of_the_same_name(tmp_path: Path) -> None:
    changed = rename(tmp_path, {"pkg/core.py": CORE})

    assert changed["pkg/core.py"] == text(CORE).replace("def old(", "def new(").replace(
        "{old(", "{new("
    )


def test_follows_every_way_to_import(tmp_path: Path) -> None:
    users = {
        "pkg/__init__.py": "",
        "pkg/core.py": CORE,
        "a.py": "from pkg.core import old\nold(1)\n",
        "b.py": "import pkg.core\npkg.core.old(1)\n",
        "c.py": "import pkg.core as c\nc.old(c.olden)\n",
        "d.py": "from pkg import core\ncore.old(1)\n",
        "e.py": "from pkg.core import old as o\no(1)\n",
        "pkg/f.py": "from .core import old\nold(1)\n",
        "pkg/sub/g.py": "def inner():\n    from ..core import old\n    return old(1)\n",
        "h.py": "from pkg.core import *\nold(1)\n",
    }

    changed = rename(tmp_path, users)

    assert changed["a.py"] == "from pkg.core import new\nnew(1)\n"
    assert changed["b.py"] == "import pkg.core\npkg.core.new(1)\n"
    assert changed["c.py"] == "import pkg.core as c\nc.new(c.olden)\n"
    assert changed["d.py"] == "from pkg import core\ncore.new(1)\n"
    assert changed["e.py"] == "from pkg.core import new as o\no(1)\n"
    assert changed["pkg/f.py"] == "from .core import new\nnew(1)\n"
    assert changed["pkg/sub/g.py"].endswith("import new\n    return new(1)\n")
    assert changed["h.py"] == "from pkg.core import *\nnew(1)\n"


def test_follows_what_a_package_hands_on(tmp_path: Path) -> None:
    files = {
        "src/pkg/__init__.py": 'from .core import old\n\n__all__ = ["old"]\n',
        "src/pkg/core.py": CORE,
        "tests/test_core.py": "import pkg\nfrom pkg import old\nassert pkg.old(1) == old(1)\n",
    }

    changed = rename(tmp_path, files)

    assert changed["src/pkg/__init__.py"] == 'from .core import new\n\n__all__ = ["new"]\n'
    assert changed["tests/test_core.py"] == (
        "import pkg\nfrom pkg import new\nassert pkg.new(1) == new(1)\n"
    )


def test_follows_what_a_star_hands_on(tmp_path: Path) -> None:
    files = {
        "pkg/__init__.py": "from pkg.parts import *\n",
        "pkg/parts/__init__.py": "from .core import old\n",
        "pkg/parts/core.py": CORE,
        "a.py": "import pkg as p\np.old(1)\n",
    }

    changed = applied(
        tmp_path, files, op="rename_symbol", symbol="pkg.parts.core.old", new_name="new"
    )

    assert changed["a.py"] == "import pkg as p\np.new(1)\n"
    assert "pkg/__init__.py" not in changed


def test_leaves_strangers_alone(tmp_path: Path) -> None:
    strangers = {
        "pkg/__init__.py": "",
        "pkg/core.py": CORE,
        "other/core.py": "def old():\n    return old\n",
        "a.py": "from other.core import old\nold()\n",
        "b.py": "import x\nx.old(old=1)\n",
        "c.py": "class C:\n    old = 1\n\n    def f(self):\n        return self.old\n",
    }

    assert set(rename(tmp_path, strangers)) == {"pkg/core.py"}


def test_renames_dotted_paths_in_strings_but_no_prose(tmp_path: Path) -> None:
    files = {
        "pkg/__init__.py": "",
        "pkg/core.py": CORE,
        "t.py": """
            from unittest import mock
            import pkg.core

            mock.patch("pkg.core.old")
            mock.patch.object(pkg.core, "old")
            setattr(pkg.core, "old", 1)
            print("the old way", "pkg.core.older", "x.pkg.core.old", "see 'pkg.core.old'")
        """,
    }

    changed = rename(tmp_path, files)

    assert changed["t.py"] == text("""
        from unittest import mock
        import pkg.core

        mock.patch("pkg.core.new")
        mock.patch.object(pkg.core, "new")
        setattr(pkg.core, "new", 1)
        print("the old way", "pkg.core.older", "x.pkg.core.old", "see 'pkg.core.old'")
    """)


def test_leaves_strings_alone_when_asked_and_renames_words_when_asked(tmp_path: Path) -> None:
    files = {"pkg/core.py": CORE, "t.py": 'import pkg.core\nx = "pkg.core.old is old"\n'}
    (tmp_path / "none").mkdir()
    (tmp_path / "words").mkdir()

    none = rename(tmp_path / "none", files, strings="none")
    words = rename(tmp_path / "words", files, strings="words")

    assert "t.py" not in none
    assert words["t.py"] == 'import pkg.core\nx = "pkg.core.new is new"\n'
    assert '"""new, in words."""' in words["pkg/core.py"]


def test_renames_forward_references_only_where_they_mean_the_symbol(tmp_path: Path) -> None:
    files = {
        "pkg/core.py": """
            class old:
                def f(self) -> "old":
                    return self


            def g(x: "list[old] | None") -> "older":
                return x
        """,
        "x.py": 'class old: ...\n\n\ndef f(x: "old"): ...\n',
    }

    changed = rename(tmp_path, files)

    assert changed["pkg/core.py"] == text(files["pkg/core.py"]).replace(
        "class old", "class new"
    ).replace('"old"', '"new"').replace("[old]", "[new]")
    assert "x.py" not in changed


def test_keeps_the_old_name_locally_where_the_new_one_is_taken(tmp_path: Path) -> None:
    files = {
        "pkg/core.py": CORE,
        "a.py": "from pkg.core import old\n\n\ndef f(new):\n    return old(new)\n",
    }

    changed = rename(tmp_path, files)

    assert changed["a.py"].startswith("from pkg.core import new as old\n")
    assert "return old(new)" in changed["a.py"]


def test_refuses_a_name_that_the_module_uses(tmp_path: Path) -> None:
    result = refused(
        tmp_path,
        {"pkg/core.py": CORE + "\n    new = 3\n"},
        op="rename_symbol",
        symbol="pkg.core.old",
        new_name="new",
    )

    assert result.code == "name_taken"
    assert "pkg/core.py" in result.error


def test_renames_a_method_in_its_class_and_heirs(tmp_path: Path) -> None:
    files = {
        "pkg/core.py": """
            class Base:
                def old(self):
                    return self.old

                @classmethod
                def make(cls):
                    return cls.old


            class Heir(Base):
                def old(self):
                    return super().old()


            class Stranger:
                def old(self):
                    return self.old


            def f(thing):
                return Base.old, Heir.old, Stranger.old, thing.old
        """,
    }

    changed = applied(
        tmp_path, files, op="rename_symbol", symbol="pkg.core:Base.old", new_name="new"
    )

    assert changed["pkg/core.py"] == text("""
        class Base:
            def new(self):
                return self.new

            @classmethod
            def make(cls):
                return cls.new


        class Heir(Base):
            def new(self):
                return super().new()


        class Stranger:
            def old(self):
                return self.old


        def f(thing):
            return Base.new, Heir.new, Stranger.old, thing.old
    """)


def test_follows_a_member_to_heirs_in_other_files(tmp_path: Path) -> None:
    files = {
        "pkg/__init__.py": "from .core import Base as Root\n",
        "pkg/core.py": "class Base:\n    def old(self):\n        return 1\n",
        "pkg/a.py": "import pkg\n\n\nclass Middle(pkg.Root):\n    pass\n",
        "b.py": "from pkg.a import Middle\n\n\nclass Last(Middle):\n    def f(self):\n"
        "        return self.old() + Middle.old(self)\n",
        "c.py": "class Last:\n    def f(self):\n        return self.old()\n",
    }

    changed = applied(
        tmp_path, files, op="rename_symbol", symbol="pkg.core:Base.old", new_name="new"
    )

    assert set(changed) == {"pkg/core.py", "b.py"}
    assert "return self.new() + Middle.new(self)" in changed["b.py"]


def test_renames_a_global_that_functions_declare(tmp_path: Path) -> None:
    files = {"pkg/core.py": "old = 0\n\n\ndef f():\n    global old\n    old += 1\n"}

    assert rename(tmp_path, files)["pkg/core.py"] == (
        "new = 0\n\n\ndef f():\n    global new\n    new += 1\n"
    )


def test_says_what_it_did_not_find(tmp_path: Path) -> None:
    write(tmp_path, {"pkg/core.py": CORE})
    operation = {"op": "rename_symbol", "symbol": "pkg.core.absent", "new_name": "new"}

    result = order(tmp_path, operation)

    assert result.status == "no_change"
    assert "pkg.core.absent" in result.notes[0].text


def test_stays_inside_the_paths_of_the_task(tmp_path: Path) -> None:
    write(tmp_path, {"pkg/core.py": CORE, "a.py": "from pkg.core import old\n"})
    operation = {"op": "rename_symbol", "symbol": "pkg.core.old", "new_name": "new"}

    order(tmp_path, operation, touches=("pkg/**",))

    assert read(tmp_path)["a.py"] == "from pkg.core import old\n"


def test_keeps_line_endings_byte_order_mark_and_encoding(tmp_path: Path) -> None:
    write(tmp_path, {"pkg/core.py": CORE})
    crlf = b"\xef\xbb\xbffrom pkg.core import old\r\nold('\xc3\xa9')\r\n"
    latin = b"# -*- coding: latin-1 -*-\nfrom pkg.core import old\nold('\xe9')\n"
    (tmp_path / "crlf.py").write_bytes(crlf)
    (tmp_path / "latin.py").write_bytes(latin)

    order(tmp_path, {"op": "rename_symbol", "symbol": "pkg.core.old", "new_name": "new"})

    assert (tmp_path / "crlf.py").read_bytes() == crlf.replace(b"old", b"new")
    assert (tmp_path / "latin.py").read_bytes() == latin.replace(b"old", b"new")


def test_renames_every_way_to_bind_a_name(tmp_path: Path) -> None:
    files = {
        "pkg/__init__.py": "",
        "pkg/core.py": """
            from typing import overload

            old: int = 1
            old += 1
            for old in range(3):
                pass
            with open("x") as old:
                pass
            if (old := 3) > 2:
                del old
            try:
                pass
            except OSError as old:
                pass


            @overload
            def old(x: int) -> int: ...
            @overload
            def old(x: str) -> str: ...
            def old(x):
                return [old for old in x] + [lambda old: old, {"old": old}, f(old=old)]


            match old:
                case {"a": other}:
                    print(old)
        """,
        "a.py": """
            try:
                from pkg.core import old
            except ImportError:
                old = None

            print(old)
        """,
    }

    changed = rename(tmp_path, files)

    inner = '[old for old in x] + [lambda old: old, {"old": new}, f(old=new)]'
    expected = text(files["pkg/core.py"]).replace("old", "new")
    start = expected.index("[new for")
    expected = expected[:start] + inner + expected[expected.index("\n", start) :]
    assert changed["pkg/core.py"] == expected
    assert changed["a.py"] == text(files["a.py"]).replace("old", "new")


def test_renaming_back_gives_the_same_bytes(tmp_path: Path) -> None:
    """Our own source, where the name is imported in many ways, is the example."""
    project = Path(domain.__file__).parent.parent
    for room in ("domain", "activities", "integrations"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(project / room, tmp_path / room, ignore=ignored)
    before = read(tmp_path)
    there = {"op": "rename_symbol", "symbol": "domain.globs.matches", "new_name": "covers_path"}
    back = {"op": "rename_symbol", "symbol": "domain.globs.covers_path", "new_name": "matches"}

    result = order(tmp_path, there)
    between = read(tmp_path)
    order(tmp_path, back)

    assert len(result.edits) >= 5
    assert "def covers_path(" in between["domain/globs.py"]
    assert read(tmp_path) == before
