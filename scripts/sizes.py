"""Print the ten largest files and functions; a person looks at them, no gate does."""

import ast
import statistics
from collections.abc import Iterator
from pathlib import Path

ROOMS = ("domain", "workflows", "activities", "integrations", "config", "workers", "starter")
SHOWN = 10


def functions(path: Path) -> Iterator[tuple[int, str]]:
    """Yield length in lines and name of each function in a file."""
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            yield lines, f"{path}:{node.lineno} {node.name}"


def show(title: str, sizes: list[tuple[int, str]]) -> None:
    """Print the largest, with median and 95th percentile of all."""
    sizes.sort(reverse=True)
    lengths = [length for length, _ in sizes]
    p95 = statistics.quantiles(lengths, n=20)[-1]
    print(f"{title}: {len(sizes)}, median {statistics.median(lengths):.0f}, p95 {p95:.0f}")
    for length, name in sizes[:SHOWN]:
        print(f"  {length:5} {name}")


def main() -> None:
    """Look at all rooms of this checkout."""
    paths = [path for room in ROOMS for path in sorted(Path(room).rglob("*.py"))]
    show("files", [(len(path.read_text().splitlines()), str(path)) for path in paths])
    show("functions", [each for path in paths for each in functions(path)])


if __name__ == "__main__":
    main()
