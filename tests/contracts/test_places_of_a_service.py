"""After a service is added to `deploy/services.py`, a test names each place that still lacks it."""

import pytest

from deploy.services import SERVICES, ServiceSpec
from tests.new.places import gaps, gaps_of_event, participant

PUBLISHED = [
    (spec.name, event.type)
    for spec in SERVICES
    if (ours := participant(spec.name)) is not None
    for event in ours.publishes
]


@pytest.mark.parametrize("spec", SERVICES, ids=lambda spec: spec.name)
def test_every_place_knows_each_service(spec: ServiceSpec) -> None:
    assert list(gaps(spec)) == []


@pytest.mark.parametrize(("name", "event_type"), PUBLISHED)
def test_every_place_knows_each_event(name: str, event_type: str) -> None:
    assert list(gaps_of_event(name, event_type)) == []


def test_each_place_that_does_not_know_a_service_is_named() -> None:
    local, production = (
        f"deploy/kubernetes/overlays/{each}/kustomization.yaml" for each in ("local", "production")
    )
    assert list(gaps(ServiceSpec("loyalty", 8087))) == [
        "loyalty is no participant: add it to [tool.messaging] of pyproject.toml",
        "loyalty is not published on port 8087: add it to compose.yaml",
        "loyalty has no row with port 8087 in README.md: add it to 'Addresses'",
        "loyalty listens on None, not on 8087: say it in its settings",
        f"loyalty has no image in a cluster: add it to {local}",
        f"loyalty has no image in a cluster: add it to {production}",
        "the portal does not find loyalty at port 8087: add loyalty_url to its settings",
        "loyalty has no name for people: add it to SERVICES in"
        " services/portal/infrastructure/wording.py",
        "loyalty has no row in the endpoint matrix: add it to tests/security/matrix.py",
        "loyalty takes no part in the simulation: add tests/simulation/parts/loyalty.py",
        "loyalty has no tests in tests/unit/loyalty",
        "loyalty has no tests in tests/contracts/loyalty",
        "loyalty has no tests in tests/integration/loyalty",
    ]
