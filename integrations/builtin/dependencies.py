"""Another version of a dependency, in each manifest that names it."""

import json
import re

from domain.errors import Rejected
from domain.globs import matches
from domain.operation import DependencyBump
from integrations.builtin.work import Work

PYTHON_FILES = ("requirements*.txt", "requirements*.in", "requirements/*.txt", "requirements/*.in",
                "**/requirements/*.txt", "**/requirements/*.in", "constraints*.txt",
                "pyproject.toml", "setup.cfg", "setup.py", "Pipfile")  # fmt: skip
NODE_FILES = ("package.json",)
GO_FILES = ("go.mod",)
OPERATOR = re.compile(r"^(===|==|~=|!=|<=|>=|<|>|\^|~)")
KEY = re.compile(
    r"^[ \t]*\[([A-Za-z][^\]\n]*)\][ \t]*(?:#.*)?$|([A-Za-z_][\w-]*)[ \t]*=(?!=)", re.MULTILINE
)
SECTIONS = ("dependencies", "devDependencies", "peerDependencies", "optionalDependencies")


def dependency_bump(operation: DependencyBump, work: Work) -> None:
    """Edit the manifests; raises `Rejected` when none of them names the dependency."""
    named = False
    for path in work.tree.editable(operation.paths):
        change = next((change for globs, change in KINDS if matches(path, globs)), None)
        document = work.tree.document(path) if change else None
        if change is None or document is None:
            continue
        text, places = change(document.text, operation, path)
        named = named or places > 0
        work.put(path, document, text, places)
    if not named:
        raise Rejected(
            f"no manifest under the task's paths names {operation.name}",
            code="unknown_dependency",
            hint="name it as the manifest does; lock files are not edited",
        )


def _in_python(text: str, operation: DependencyBump, path: str) -> tuple[str, int]:
    """Rewrite requirement lines and strings (PEP 508), and Poetry's `name = "version"`."""
    name = re.sub(r"[-_.]+", "[-_.]+", re.escape(operation.name).replace(r"\-", "-"))
    quoted = path.endswith((".toml", ".py", "Pipfile"))
    lead = r"""(?P<lead>["'])""" if quoted else r"(?P<lead>^[ \t]*)"
    requirement = re.compile(
        rf"{lead}(?P<name>{name})(?P<extras>[ \t]*\[[^\]\n]*\])?(?P<gap>[ \t]*)"
        r"(?P<spec>\(?(?:===|==|~=|!=|<=|>=|<|>)[^;\"'#\n\\]*?)?"
        r"(?P<tail>[ \t]*(?:$|[;\"'#\\]))",
        re.IGNORECASE | re.MULTILINE,
    )
    places = 0

    def bumped(found: re.Match[str]) -> str:
        nonlocal places
        if quoted and found["tail"].strip()[:1] not in (found["lead"], ";"):
            return found.group(0)
        if quoted and not _required(text[: found.start()]):
            return found.group(0)
        if path.endswith(".toml") and text[found.end() :].lstrip(" \t").startswith(("=", ":")):
            return found.group(0)
        places += 1
        spec = _specifier(found["spec"] or "", operation.version)
        named = f"{found['lead']}{found['name']}{found['extras'] or ''}"
        return f"{named}{found['gap']}{spec}{found['tail']}"

    text = requirement.sub(bumped, text)
    if path.endswith(("pyproject.toml", "Pipfile")):
        text, more = _in_tables(text, name, operation.version)
        places += more
    return text, places


def _required(before: str) -> bool:
    """Say whether a string stands in a list of requirements, judged by the key before it."""
    keys = KEY.findall(before)
    table = next((header for header, _ in reversed(keys) if header), "")
    key = next((name for _, name in reversed(keys) if name), "")
    last_is_key = bool(keys) and bool(keys[-1][1])
    return any(word in name for word in ("depend", "requir") for name in (table, key * last_is_key))


def _in_tables(text: str, name: str, version: str) -> tuple[str, int]:
    """Rewrite `name = "version"` and `name = {version = "..."}` below dependency tables."""
    table = ""
    places = 0
    lines = text.splitlines(keepends=True)
    entry = re.compile(
        rf"""^([ \t]*["']?{name}["']?[ \t]*=[ \t]*"""
        r"""(?:\{[^}\n]*?version[ \t]*=[ \t]*)?["'])([^"'\n]*)""",
        re.IGNORECASE,
    )
    for index, line in enumerate(lines):
        if line.lstrip().startswith("["):
            table = line
        found = entry.match(line)
        if found and ("dependencies" in table or "packages" in table):
            places += 1
            lines[index] = found[1] + _specifier(found[2], version) + line[found.end() :]
    return "".join(lines), places


def _in_node(text: str, operation: DependencyBump, path: str) -> tuple[str, int]:
    try:
        manifest = json.loads(text)
    except json.JSONDecodeError as error:
        raise Rejected(f"{path} is not JSON: {error}", code="broken_file", path=path) from None
    places = 0
    for section in SECTIONS:
        listed = manifest.get(section) if isinstance(manifest, dict) else None
        if not isinstance(listed, dict) or operation.name not in listed:
            continue
        places += 1
        listed[operation.name] = _specifier(str(listed[operation.name]), operation.version)
    if not places:
        return text, 0
    indent = re.search(r"\n([ \t]+)\S", text)
    shown = json.dumps(manifest, indent=indent.group(1) if indent else None, ensure_ascii=False)
    return shown + ("\n" if text.endswith("\n") else ""), places


def _in_go(text: str, operation: DependencyBump, path: str) -> tuple[str, int]:
    """Rewrite `require` lines; go.sum is the business of the project's own set-up."""
    version = "v" + operation.version.removeprefix("v")
    line = re.compile(
        rf"^([ \t]*(?:require[ \t]+)?{re.escape(operation.name)}[ \t]+)v[^\s/]+", re.MULTILINE
    )
    return line.subn(rf"\g<1>{version}", text)


def _specifier(old: str, version: str) -> str:
    """Return the new specifier: a plain version keeps the operator that was there."""
    if OPERATOR.match(version.strip()):
        return version.strip()
    first = old.strip().lstrip("(")
    operator = OPERATOR.match(first)
    if operator is None:
        return f"=={version}" if not first else version
    kept = operator.group(1)
    if kept in ("<", "<=", "!=", ">"):
        return f">={version}"
    return f"{kept}{version}"


KINDS = ((PYTHON_FILES, _in_python), (NODE_FILES, _in_node), (GO_FILES, _in_go))
