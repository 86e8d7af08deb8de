"""Where modules are: from a dotted name to a file, and from a file to its dotted name."""

from typing import NamedTuple

from domain.errors import Rejected
from integrations.builtin.tree import Tree, vendored

ROOTS = ("", "src/", "lib/", "python/")  # where packages lie, in this order of preference


class Module(NamedTuple):
    """A module of the tree; `root` is the folder that is on the import path, with its slash."""

    name: str
    path: str
    root: str

    @property
    def package(self) -> str:
        """The package that relative imports start from."""
        if self.path.endswith(("/__init__.py", "/__init__.pyi")):
            return self.name
        return self.name.rpartition(".")[0]


class Symbol(NamedTuple):
    """A name below a module; `names` has two parts for a member of a class."""

    module: Module
    names: tuple[str, ...]

    @property
    def qualified(self) -> str:
        return ".".join((self.module.name, *self.names))


def find_module(tree: Tree, name: str) -> Module | None:
    """Return the module of this name; raises `Rejected` when two folders could be its root."""
    tail = name.replace(".", "/")
    ends = (f"{tail}.py", f"{tail}/__init__.py")
    found = [
        Module(name, path, path.removesuffix(end))
        for path in tree.files()
        for end in ends
        if (path == end or path.endswith("/" + end)) and not vendored(path)
    ]
    for root in ROOTS:
        for module in found:
            if module.root == root:
                return module
    found = [module for module in found if not _inside_package(tree, module)]
    if len(found) > 1:
        raise Rejected(
            f"the module {name} is ambiguous: {', '.join(module.path for module in found)}",
            code="ambiguous",
            hint="write a longer dotted name",
        )
    return found[0] if found else None


def module_at(path: str, root: str) -> Module:
    """Return the module of a file, given the root of the module that it may import."""
    base = root if root and path.startswith(root) else ""
    stem = path.removeprefix(base).rpartition(".")[0]
    return Module(stem.removesuffix("/__init__").replace("/", "."), path, base)


def locate(tree: Tree, dotted: str) -> Symbol | None:
    """Return the symbol's module and its names in it; None when no module of the tree fits."""
    if ":" in dotted:
        before, _, after = dotted.partition(":")
        module = find_module(tree, before)
        return Symbol(module, tuple(after.split("."))) if module else None
    parts = dotted.split(".")
    for cut in range(len(parts) - 1, 0, -1):
        module = find_module(tree, ".".join(parts[:cut]))
        if module:
            return Symbol(module, tuple(parts[cut:]))
    return None


def need(tree: Tree, dotted: str) -> Symbol:
    """Return the symbol; raises `Rejected` when no module of the tree fits."""
    found = locate(tree, dotted)
    if found is None:
        raise Rejected(
            f"no module of the repository holds {dotted}",
            code="module_missing",
            hint="write package.module.name, with the folder of the package as the first part",
        )
    return found


def split(dotted: str) -> tuple[str, str]:
    """Return module and name of a symbol that may be of any package, ours or not."""
    if ":" in dotted:
        module, _, name = dotted.partition(":")
        return module, name
    module, _, name = dotted.rpartition(".")
    return module, name


def absolute(module: str, level: int, package: str) -> str:
    """Return the absolute name of what `from ..module import` means in `package` (PEP 328)."""
    if level == 0:
        return module
    parts = package.split(".")
    kept = parts[: len(parts) - (level - 1)]
    return ".".join((*kept, module) if module else kept)


def _inside_package(tree: Tree, module: Module) -> bool:
    """Say whether the root itself is a package, so that the module has a longer name."""
    return bool(module.root) and tree.read(f"{module.root}__init__.py") is not None
