"""The names of the driver protocol say what belongs together."""

from domain.deployment import (
    Artefact,
    Inspection,
    Place,
    Route,
    StartOrder,
)
from domain.repository import Repository
from domain.service import Environment, Service

PLACE = Place(
    repository=Repository(id="shop-1a2b", name="shop", location="/r", base="refs/heads/main"),
    service="api",
    environment="production",
)


def test_a_target_and_an_instance_are_named_by_what_they_belong_to():
    order = StartOrder(
        place=PLACE,
        rollout="R1",
        replica=2,
        artefact=Artefact(sha="a", digest="d", location=""),
        service=Service(run=("x",), environments={"production": Environment(port=1)}),
        environment=Environment(port=1),
    )

    assert PLACE.target == "shop-1a2b.api/production"
    assert order.instance == "R1.2"


def test_an_instance_without_a_route_has_no_weight():
    route = Route(instance="R1.0", address="", version="", digest="", weight=700)
    seen = Inspection(target="t", generation=1, routes=(route,))

    assert (seen.weight_of("R1.0"), seen.weight_of("R1.1")) == (700, 0)
