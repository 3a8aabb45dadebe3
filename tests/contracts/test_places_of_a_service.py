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
    found = list(gaps(spec))
    assert not found, "\n".join(found)


@pytest.mark.parametrize(("name", "event_type"), PUBLISHED)
def test_every_place_knows_each_event(name: str, event_type: str) -> None:
    found = list(gaps_of_event(name, event_type))
    assert not found, "\n".join(found)


def test_each_place_that_does_not_know_a_service_is_named() -> None:
    local, production = (
        f"deploy/kubernetes/overlays/{each}/kustomization.yaml" for each in ("local", "production")
    )
    assert list(gaps(ServiceSpec("absent", 8099))) == [
        "absent is no participant: add it to [tool.messaging] of pyproject.toml",
        "absent is not published on port 8099: add it to compose.yaml",
        "absent has no row with port 8099 in README.md: add it to 'Addresses'",
        "absent listens on None, not on 8099: say it in its settings",
        f"absent has no image in a cluster: add it to {local}",
        f"absent has no image in a cluster: add it to {production}",
        "the portal does not find absent at port 8099: add absent_url to its settings",
        "absent has no name for people: add it to SERVICES in"
        " services/portal/infrastructure/web/wording.py",
        "absent has no row in the endpoint matrix: add it to tests/security/matrix.py",
        "absent takes no part in the simulation: add tests/simulation/parts/absent.py",
        "absent has no tests in tests/unit/absent",
        "absent has no tests in tests/integration/absent",
    ]
