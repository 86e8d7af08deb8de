"""Rooms keep their words: a vendor's name stands only where vendors may be named."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
SILENT = ("domain", "workflows", "activities")
# Words of the field, not of a vendor, which happen to be names of files in `integrations`.
WORDS = {
    "__init__", "access", "artifacts", "audit_log", "chain", "database", "dry_run", "effects",
    "engine", "git", "process", "projection", "recording", "rows", "rules", "sandbox", "tables",
    "views", "workspaces", "hooks", "host_sockets", "visitor", "local_driver", "local_history",
    "local_releases", "rollout_projection", "rollout_records", "rollout_rows", "rollout_views",
    "builtin", "builtin_agent", "command_agent", "local_forge",
}  # fmt: skip
PACKAGES = {"sqlalchemy", "alembic", "libcst", "ruamel", "tomlkit", "typer", "bwrap", "celpy"}


def test_no_vendor_is_named_in_the_silent_rooms():
    files = (path.stem for path in (ROOT / "integrations").glob("*.py"))
    vendors = {name for name in files if name not in WORDS and not name.startswith("git_")}
    words = re.compile(rf"\b({'|'.join(sorted(vendors | PACKAGES))})\b")

    named = [
        f"{path.relative_to(ROOT)}: {found.group()}"
        for room in SILENT
        for path in sorted((ROOT / room).rglob("*.py"))
        for found in words.finditer(_code(path))
    ]

    assert named == []


def _code(path: Path) -> str:
    """Return the text without what only names a sandbox's level or a driver, which is data."""
    return re.sub(r'"(bwrap|haproxy)"', "", path.read_text(encoding="utf-8"))


def test_no_path_of_a_machine_is_in_the_project():
    places = re.compile(r"(?<![\w.])/(?:work|root|home/\w+)/")
    suffixes = {".py", ".yaml", ".yml", ".md", ".toml", ".txt", ".in", ".json", ".sh"}

    named = [
        str(path.relative_to(ROOT))
        for path in _tracked()
        if path.suffix in suffixes and places.search(path.read_text(encoding="utf-8"))
    ]

    assert named == []


def _tracked() -> list[Path]:
    skipped = {".venv", ".git", ".mypy_cache", ".ruff_cache", ".pytest_cache", ".hypothesis"}
    return [
        path
        for path in ROOT.rglob("*")
        if path.is_file() and not skipped.intersection(path.relative_to(ROOT).parts[:1])
    ]
