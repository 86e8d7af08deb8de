"""Traffic is divided exactly, and by nobody's accident."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.deployment import FULL, Inspection, Instance, Route
from domain.errors import Rejected
from domain.shifting import of_rollout, ready, serving, split, weight_of

NAMES = st.lists(st.text("abc", min_size=1, max_size=4), unique=True, max_size=5).map(tuple)


@given(new=NAMES, old=NAMES, weight=st.integers(0, FULL))
def test_all_traffic_is_given_away_and_evenly(new, old, weight):
    new = tuple(f"n.{name}" for name in new)
    if not new and not old:
        with pytest.raises(Rejected):
            split(new, old, weight)
        return
    shares = split(new, old, weight)

    assert sum(shares.values()) == FULL
    for group in (new, old):
        mine = [shares[name] for name in group]
        assert not mine or max(mine) - min(mine) <= 1
    if new and old:
        assert sum(shares[name] for name in new) == weight


def test_an_instance_belongs_to_the_rollout_that_its_name_begins_with():
    instances = tuple(
        Instance(instance=name, target="t", digest="d", state=state)
        for name, state in (("R1.0", "ready"), ("R1.1", "down"), ("R10.0", "ready"))
    )
    routes = tuple(
        Route(instance=name, address="", version="", digest="", weight=weight)
        for name, weight in (("R1.0", 10), ("R1.1", 5), ("R10.0", 100))
    )

    assert of_rollout("R1", "R1.0")
    assert not of_rollout("R1", "R10.0")
    assert ready(instances, "R1") == ("R1.0",)
    assert weight_of("R1", routes) == 15


def test_what_starts_again_serves_on_where_it_has_traffic():
    states = {"R1.0": "ready", "R1.1": "starting", "R1.2": "starting", "R1.3": "down"}
    instances = tuple(
        Instance(instance=name, target="t", digest="d", state=state)
        for name, state in (*states.items(), ("R2.0", "starting"))
    )
    routes = tuple(
        Route(instance=name, address="", version="", digest="", weight=weight)
        for name, weight in (("R1.0", 0), ("R1.1", 5_000), ("R1.3", 1_000), ("R2.0", 4_000))
    )
    seen = Inspection(target="t", generation=1, routes=routes, instances=instances)

    assert serving(seen, "R1") == ("R1.0", "R1.1")
