"""Taking the project itself out of an environment that was installed from its checkout."""

import configparser
import csv
import json
import os
import shutil
from pathlib import Path

from integrations.gates.environment import Distribution
from integrations.gates.python_layout import top_packages
from integrations.gates.workshop import Workshop, inside, remove

SKIPPED_PRODUCTS = ("__pycache__", ".git", "build", ".eggs", "node_modules")
NO_METADATA = shutil.ignore_patterns("RECORD", "direct_url.json", "INSTALLER", "REQUESTED")


class Harvest:
    """Takes the project itself out of the environment, and keeps what its build made.

    Metadata (entry points, version) and generated files (a version module, compiled extensions)
    are kept to be laid into each checkout; everything else will come from the checkout.
    """

    def __init__(self, site: Path, shop: Workshop, paths: frozenset[str]) -> None:
        self._site = site
        self._shop = shop
        self._paths = paths
        self._kept = shop.kept
        self.roots: tuple[str, ...] = ()
        self.packages: tuple[str, ...] = ()
        self.distributions: list[Distribution] = []

    def take(self) -> None:
        for info in sorted(self._site.glob("*.dist-info")):
            if self._ours(info / "RECORD") and self._is_local(info):
                self._move(info)
        self._collect_products()

    def _ours(self, path: Path) -> bool:
        """Say whether a path that an installer wrote down is really in the room, and no link."""
        return inside(self._shop.folder, path.parent) and not path.is_symlink()

    def _is_local(self, info: Path) -> bool:
        try:
            origin = json.loads((info / "direct_url.json").read_text("utf-8"))
        except (OSError, ValueError):
            return False
        url = str(origin.get("url", "")) if isinstance(origin, dict) else ""
        return url.startswith("file:") and "dir_info" in origin

    def _move(self, info: Path) -> None:
        files = _record(info)
        modules = [name for name in files if not name.startswith("..") and info.name not in name]
        root = self._root(modules)
        if root is not None:
            self.roots = tuple(dict.fromkeys((*self.roots, root)))
            self.packages = tuple(dict.fromkeys((*self.packages, *top_packages(modules))))
            self._keep_generated(modules, root)
        self.distributions.append(Distribution(info=info.name, scripts=_scripts(info)))
        self._kept.mkdir(exist_ok=True)
        shutil.copytree(info, self._kept / info.name, symlinks=True, ignore=NO_METADATA)
        for name in files:
            if self._ours(self._site / name):
                _remove(self._site / name)
        remove(info)

    def _root(self, modules: list[str]) -> str | None:
        """Return the folder of the checkout that the installed modules were taken from."""
        votes: dict[str, int] = {}
        for name in modules:
            if not name.endswith(".py"):
                continue
            for path in self._paths:
                if path == name or path.endswith("/" + name):
                    prefix = path[: len(path) - len(name)].rstrip("/")
                    votes[prefix] = votes.get(prefix, 0) + 1
        if not votes:
            return None
        return max(votes, key=lambda prefix: (votes[prefix], -len(prefix)))

    def _keep_generated(self, modules: list[str], root: str) -> None:
        for name in modules:
            path = f"{root}/{name}" if root else name
            source = self._site / name
            made = path not in self._paths and not name.endswith((".pyc", ".pth"))
            if made and source.is_file() and self._ours(source):
                target = self._kept / "files" / path
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source, target)

    def _collect_products(self) -> None:
        """Keep what a build wrote into the tree itself (editable installs do)."""
        tree = self._shop.tree
        for folder, names, files in () if tree.is_symlink() else os.walk(tree):
            names[:] = [n for n in names if n not in SKIPPED_PRODUCTS and "egg-info" not in n]
            for name in files:
                source = Path(folder, name)
                path = source.relative_to(self._shop.tree).as_posix()
                target = self._kept / "files" / path
                if path in self._paths or source.is_symlink() or target.exists():
                    continue
                if name.endswith((".py", ".so", ".pyd", ".json", ".txt", ".dat")):
                    target.parent.mkdir(parents=True, exist_ok=True)
                    shutil.copyfile(source, target)


def _record(info: Path) -> list[str]:
    try:
        with (info / "RECORD").open(encoding="utf-8", newline="") as file:
            return [row[0] for row in csv.reader(file) if row]
    except (OSError, UnicodeError, csv.Error):
        return []


def _scripts(info: Path) -> dict[str, str]:
    parser = configparser.ConfigParser(delimiters=("=",), interpolation=None, strict=False)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    try:
        parser.read(info / "entry_points.txt", encoding="utf-8")
    except (configparser.Error, UnicodeError):
        return {}
    return dict(parser.items("console_scripts")) if parser.has_section("console_scripts") else {}


def _remove(path: Path) -> None:
    if path.is_file() or path.is_symlink():
        path.unlink()
        for folder in path.parents:
            if folder.name == "site-packages" or any(folder.iterdir()):
                break
            folder.rmdir()
