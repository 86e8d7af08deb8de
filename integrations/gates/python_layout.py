"""Where the modules of a Python project live in its checkout."""


def guess_roots(paths: tuple[str, ...]) -> tuple[str, ...]:
    """Return where modules of a project that is not installed live."""
    if any(path.startswith("src/") and path.endswith(".py") for path in paths):
        return ("src",) if "src/__init__.py" not in paths else ("",)
    return ("",)


def guess_packages(paths: tuple[str, ...], roots: tuple[str, ...]) -> tuple[str, ...]:
    """Return the packages and modules right below the roots, tests left out."""
    found = []
    for root in roots:
        prefix = f"{root}/" if root else ""
        inside = [path.removeprefix(prefix) for path in paths if path.startswith(prefix)]
        found += top_packages([name for name in inside if name.count("/") <= 1])
    return tuple(
        name for name in dict.fromkeys(found)
        if not name.startswith(("test", "setup", "conftest", "doc", "example", "noxfile"))
    )  # fmt: skip


def top_packages(files: list[str]) -> list[str]:
    """Return the outermost packages (with `__init__.py`) and modules, dotted."""
    inits = {name.rpartition("/")[0] for name in files if name.endswith("/__init__.py")}
    tops = {folder for folder in inits if not any(_above(folder, other) for other in inits)}
    modules = {name[:-3] for name in files if name.endswith(".py") and "/" not in name}
    names = sorted((tops | modules) - {"__init__", "conftest", "setup"})
    return [name.replace("/", ".") for name in names if name.replace("/", "").isidentifier()]


def _above(folder: str, other: str) -> bool:
    return folder != other and folder.startswith(other + "/")
