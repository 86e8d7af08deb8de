"""A client that fails again and again counts once, wherever its requests went."""

from pathlib import Path
from random import Random
from typing import Any

import pytest

from host.edge.backend import Backend
from host.edge.counts import SERVER_ERROR, CountFile
from host.edge.limits import Limits
from host.edge.orders import Route
from host.edge.target import Target


class Request:
    """One that waits for nothing."""

    def waited_ms(self, now: float) -> float:
        return 0


@pytest.fixture
def target(tmp_path: Path) -> Target:
    target = Target("shop", CountFile(tmp_path / "own", 0), Random(1))
    for name in ("old.0", "new.0"):
        route = Route(instance=name, address="127.0.0.1:1", version="", digest="", weight=5_000)
        counts = CountFile(tmp_path / name, 0)
        target.backends[name] = Backend(route, counts, Limits(), target.bad_clients)
    return target


def fail(target: Target, instance: str, client: str) -> None:
    request = Request()
    target.backends[instance].start(request)
    target.backends[instance].end(request, SERVER_ERROR, 1, client)


def bad(target: Target) -> dict[str, int]:
    seen: Any = target.observe(0, 0)["counts"]
    return {each["instance"]: each["bad_clients"] for each in seen}


def test_a_client_counts_once_where_its_first_bad_answer_came_from(target: Target) -> None:
    for instance in ("new.0", "old.0", "new.0", "old.0"):
        fail(target, instance, "10.1.1.1")
    fail(target, "old.0", "10.1.1.2")

    assert bad(target) == {"old.0": 1, "new.0": 1}


def test_a_client_counts_anew_after_each_look(target: Target) -> None:
    fail(target, "new.0", "10.1.1.1")
    bad(target)
    fail(target, "old.0", "10.1.1.1")

    assert bad(target) == {"old.0": 1, "new.0": 1}


def test_each_bad_answer_counts_where_clients_cannot_be_told_apart(target: Target) -> None:
    for _ in range(3):
        fail(target, "new.0", "")

    assert bad(target) == {"old.0": 0, "new.0": 3}
