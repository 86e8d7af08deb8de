"""Figures for and from HAProxy, without one."""

from hypothesis import given
from hypothesis import strategies as st

from domain.deployment import FULL, Route
from domain.shifting import split
from integrations.haproxy_config import Face, config
from integrations.haproxy_counts import read_counts
from integrations.haproxy_shares import asked_map, routes_map, shares, versions_map, weight


def route(instance: str, share: int = 0, version: str = "v1") -> Route:
    return Route(
        instance=instance, address="127.0.0.1:20000", version=version, digest="d", weight=share
    )


@given(st.integers(0, FULL), st.integers(1, 8), st.integers(1, 8))
def test_the_map_gives_each_number_to_one_instance(share: int, new: int, old: int):
    names = tuple(f"n.{at}" for at in range(new)), tuple(f"o.{at}" for at in range(old))
    wanted = split(*names, share)
    entries = routes_map(route(name, each) for name, each in wanted.items())
    numbers = [range(*_ends(key)) for key, _ in entries]

    assert shares(entries) == {name: each for name, each in wanted.items() if each}
    assert sorted(number for each in numbers for number in each) == list(range(FULL))


def _ends(key: str) -> tuple[int, int]:
    first, last = key.split(":")
    return int(first), int(last) + 1


def test_a_map_that_another_program_wrote_is_read_too():
    assert shares((("0", "a"), ("1:4", "b"), ("5:9", "a"))) == {"a": 6, "b": 4}


def test_weights_are_those_that_haproxy_knows():
    found = [weight(route("a", share)) for share in (0, 1, 50, 5_000, FULL)]

    assert found == [0, 1, 1, 128, 256]


def test_a_tester_gets_the_heaviest_instance_of_a_version():
    routes = (route("r1.0", 100), route("r1.1", 9_900), route("r2.0", 0, "v2"))

    assert dict(asked_map(routes)) == {
        "v1": "r1.1", "v2": "r2.0", "r1.0": "r1.0", "r1.1": "r1.1", "r2.0": "r2.0",
    }  # fmt: skip


def test_versions_with_words_of_the_command_line_stay_out():
    routes = (route("r1.0", version="v1;shutdown"), route("r2.0", version="a b"), route("r3.0"))

    assert versions_map(routes) == (("r3.0", "v1"),)
    assert "v1;shutdown" not in dict(asked_map(routes))


def test_counters_become_classes():
    row = {
        "stot": "21", "hrsp_1xx": "1", "hrsp_2xx": "5", "hrsp_3xx": "1", "hrsp_4xx": "2",
        "hrsp_5xx": "3", "econ": "1", "wretr": "3", "wredis": "2", "eresp": "2", "srv_abrt": "1",
        "cli_abrt": "1", "scur": "",
    }  # fmt: skip
    counts = read_counts("r1.0", row, "e1")

    assert counts.started == sum(counts.done.values()) == 21
    assert counts.done == {
        "1xx": 1, "2xx": 5, "3xx": 1, "4xx": 2, "5xx": 3, "connect": 6, "reset": 2, "aborted": 1,
    }  # fmt: skip
    assert counts.bad_clients == 3 + 1 + 2 + 2
    assert counts.passed_on == 3 + 2
    assert read_counts("r1.0", {}, "").started == 0


def test_the_configuration_names_all_servers_and_an_ipv6_host():
    text = config(Face(host="::1", port=8080, timeout_s=0.5), (route("a", 9_500), route("b", 500)))

    assert "bind [::1]:8080" in text
    assert "timeout server 500ms" in text
    assert "server a 127.0.0.1:20000 weight 243" in text
    assert "server b 127.0.0.1:20000 weight 13" in text
