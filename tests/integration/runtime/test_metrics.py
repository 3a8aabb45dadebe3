"""Metrics start at zero and carry the right route; durations leave out streams."""

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.fixtures.polling import eventually
from tests.fixtures.services import ServiceClient


@pytest.fixture
def notes_database(emptied_database: str) -> str:
    return emptied_database


async def sample(client: httpx.AsyncClient, name: str, **labels: str) -> float | None:
    """Return the value of one sample, or None where there is none."""
    text = (await client.get("/metrics")).text
    for family in text_string_to_metric_families(text):
        for each in family.samples:
            if each.name == name and labels.items() <= each.labels.items():
                return each.value
    return None


async def test_a_refused_body_counts_under_the_route_it_was_meant_for(notes: ServiceClient) -> None:
    name, meant = "http_request_duration_seconds_count", {"method": "POST", "route": "/notes"}
    before = await sample(notes, name, **meant, status="413") or 0
    answer = await notes.post("/notes", content=b"x" * 100_000)
    assert answer.status_code == 413
    assert await sample(notes, name, **meant, status="413") == before + 1


async def test_a_path_that_leads_nowhere_counts_as_unmatched(notes: ServiceClient) -> None:
    name, nowhere = "http_request_duration_seconds_count", {"route": "unmatched", "status": "404"}
    before = await sample(notes, name, **nowhere) or 0
    assert (await notes.get("/nowhere")).status_code == 404
    assert await sample(notes, name, **nowhere) == before + 1


async def test_errors_of_each_route_are_counted_from_zero_on(notes: ServiceClient) -> None:
    name = "http_server_errors_total"
    assert await sample(notes, name, method="PATCH", route="/notes/{note_id}") == 0
    before = await sample(notes, name, method="GET", route="/notes/broken")
    assert before is not None
    assert (await notes.get("/notes/broken")).status_code == 500
    assert await sample(notes, name, method="GET", route="/notes/broken") == before + 1
    assert await sample(notes, name, method="PATCH", route="/notes/{note_id}") == 0


async def test_the_databases_round_trips_are_measured(notes: ServiceClient) -> None:
    before = await sample(notes, "database_round_trip_seconds_count") or 0

    async def measured_again() -> bool:
        return (await sample(notes, "database_round_trip_seconds_count") or 0) > before

    await eventually(measured_again)


async def test_events_are_counted_by_type_from_zero_on_when_they_are_committed(
    notes: ServiceClient,
) -> None:
    name, labels = "outbox_events_total", {"service": "notes", "type": "note.taken.v1"}
    before = await sample(notes, name, **labels)
    assert before is not None
    assert (await notes.post("/notes", json={"text": "milk"})).status_code == 201
    assert await sample(notes, name, **labels) == before + 1
    assert (await notes.post("/notes", json={"text": "refuse"})).status_code == 409
    assert await sample(notes, name, **labels) == before + 1


async def test_a_database_that_is_lost_counts_as_failed_connections(
    notes: ServiceClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, labels = "connection_failures_total", {"part": "notes pool"}
    before = await sample(notes, name, **labels)
    assert before is not None

    async def lost(_: object) -> None:
        raise ConnectionRefusedError

    monkeypatch.setattr("libs.runtime.readiness.driver_of", lost)

    async def counted() -> bool:
        return (await sample(notes, name, **labels) or 0) > before

    await eventually(counted)
