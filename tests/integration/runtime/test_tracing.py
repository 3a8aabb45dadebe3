"""The request's trace and id travel with the events it causes."""

import json
from typing import Any

import asyncpg

from tests.fixtures.services import ServiceClient

TRACE = "0af7651916cd43dd8448eb211c80319c"


async def caused(notes: ServiceClient, database: str, headers: dict[str, str]) -> dict[str, Any]:
    """The event a request caused, and the request id its answer carried."""
    answer = await notes.post("/notes", json={"text": "milk"}, headers=headers)
    assert answer.status_code == 201
    connection = await asyncpg.connect(database.replace("+asyncpg", ""))
    try:
        row = await connection.fetchrow("SELECT body, traceparent FROM outbox ORDER BY seq DESC")
    finally:
        await connection.close()
    assert row is not None
    event: dict[str, Any] = json.loads(row["body"])
    assert event["traceparent"] == row["traceparent"]
    assert event["causationid"] == answer.headers["X-Request-Id"]
    return event


async def test_events_go_on_with_the_callers_trace(
    notes: ServiceClient, notes_database: str
) -> None:
    headers = {"traceparent": f"00-{TRACE}-b7ad6b7169203331-01", "X-Request-Id": "0123456789ab"}
    event = await caused(notes, notes_database, headers)
    version, trace, span, flags = event["traceparent"].split("-")
    assert (version, trace, flags) == ("00", TRACE, "01")
    assert span != "b7ad6b7169203331"
    assert event["causationid"] == "0123456789ab"


async def test_a_request_without_a_trace_or_with_a_broken_one_starts_one(
    notes: ServiceClient, notes_database: str
) -> None:
    traces = set()
    for traceparent in (None, "00-xyz-1-01", f"00-{'0' * 32}-b7ad6b7169203331-01"):
        headers = {} if traceparent is None else {"traceparent": traceparent}
        event = await caused(notes, notes_database, headers | {"X-Request-Id": "not an id\x7f"})
        traces.add(event["traceparent"].split("-")[1])
        assert event["causationid"] != "not an id\x7f"
    assert len(traces) == 3
    assert "0" * 32 not in traces
