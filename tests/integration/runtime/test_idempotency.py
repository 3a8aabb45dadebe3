"""Requests with one Idempotency-Key have at most one effect, and get the first answer unchanged."""

import asyncio

import asyncpg
import httpx
import pytest

from libs.runtime.idempotency import Idempotency, delete_expired
from tests.fixtures.polling import eventually
from tests.fixtures.services import ServiceClient
from tests.integration.runtime.notes import KEYS

NOTE = {"text": "buy milk", "cents": 5}
KEY = {"Idempotency-Key": "key-1"}
REUSED = "urn:notes:problem:idempotency-key-reused"
IN_FLIGHT = "urn:notes:problem:idempotency-key-in-flight"
ADVISORY_LOCKS = (
    "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND database ="
    " (SELECT oid FROM pg_database WHERE datname = current_database())"
)


def dsn(url: str) -> str:
    return url.replace("+asyncpg", "")


async def count_notes(notes: ServiceClient) -> int:
    return len((await notes.get("/notes")).json()["items"])


async def test_a_second_request_gets_the_first_answer_word_for_word(notes: ServiceClient) -> None:
    first = await notes.post("/notes", json=NOTE, headers=KEY)
    second = await notes.post("/notes", json=NOTE, headers=KEY)
    assert first.status_code == second.status_code == 201
    assert second.content == first.content
    for name in ("ETag", "Location", "Content-Type"):
        assert second.headers[name] == first.headers[name]
    assert "Idempotency-Replayed" not in first.headers
    assert second.headers["Idempotency-Replayed"] == "true"
    assert await count_notes(notes) == 1


async def test_the_same_payload_written_differently_is_the_same_request(
    notes: ServiceClient,
) -> None:
    await notes.post("/notes", content='{"text":"a","cents":1}', headers=KEY)
    again = await notes.post("/notes", content='{ "cents": 1, "text": "\\u0061" }', headers=KEY)
    assert again.headers["Idempotency-Replayed"] == "true"


@pytest.mark.parametrize(
    ("path", "body"), [("/notes", {"text": "other"}), ("/notes/required", NOTE)]
)
async def test_another_payload_or_path_under_the_key_is_refused(
    notes: ServiceClient, path: str, body: dict[str, object]
) -> None:
    tenant = {"X-Tenant-Id": "default"}
    await notes.post("/notes", json=NOTE, headers=KEY | tenant)
    refused = await notes.post(path, json=body, headers=KEY | tenant)
    assert refused.status_code == 422
    assert refused.json()["type"] == REUSED
    assert await count_notes(notes) == 1


async def test_a_key_belongs_to_its_tenant(notes: ServiceClient) -> None:
    await notes.post("/notes", json=NOTE, headers=KEY | {"X-Tenant-Id": "one"})
    other = await notes.post("/notes", json=NOTE, headers=KEY | {"X-Tenant-Id": "two"})
    assert other.status_code == 201
    assert "Idempotency-Replayed" not in other.headers


async def test_a_request_is_refused_while_the_first_is_in_flight(
    notes: ServiceClient, notes_database: str
) -> None:
    # The first request takes its lock, then waits for the table that we hold.
    blocker = await asyncpg.connect(dsn(notes_database))
    try:
        transaction = blocker.transaction()
        await transaction.start()
        await blocker.execute("LOCK TABLE notes IN EXCLUSIVE MODE")
        first = asyncio.create_task(notes.post("/notes", json=NOTE, headers=KEY))
        await eventually(lambda: blocker.fetchval(ADVISORY_LOCKS))
        second = await notes.post("/notes", json=NOTE, headers=KEY)
        await transaction.rollback()
    finally:
        await blocker.close()
    assert second.status_code == 409
    assert second.json()["type"] == IN_FLIGHT
    assert (await first).status_code == 201
    assert await count_notes(notes) == 1


async def test_many_at_once_have_one_effect(notes: ServiceClient) -> None:
    answers = await asyncio.gather(
        *(notes.post("/notes", json=NOTE, headers=KEY) for _ in range(30))
    )
    assert {answer.status_code for answer in answers} <= {201, 409}
    assert await count_notes(notes) == 1


async def test_of_two_that_both_saw_no_key_the_second_has_no_effect(
    notes: ServiceClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def saw_none(*_: object) -> None:
        return None

    monkeypatch.setattr(Idempotency, "_replay", saw_none)
    assert (await notes.post("/notes", json=NOTE, headers=KEY)).status_code == 201
    second = await notes.post("/notes", json=NOTE, headers=KEY)
    assert second.status_code == 409
    assert second.json()["type"] == IN_FLIGHT
    assert await count_notes(notes) == 1


async def test_a_refused_request_does_not_use_up_its_key(notes: ServiceClient) -> None:
    refused = await notes.post("/notes", json={"text": "refuse"}, headers=KEY)
    assert refused.status_code == 409
    assert refused.json()["field"] == "text"
    assert (await notes.post("/notes", json=NOTE, headers=KEY)).status_code == 201


async def test_a_key_is_free_again_after_a_day_and_its_row_goes(
    notes: ServiceClient, notes_database: str
) -> None:
    await notes.post("/notes", json=NOTE, headers=KEY)
    connection = await asyncpg.connect(dsn(notes_database))
    try:
        older = "UPDATE idempotency_keys SET created_at = now() - interval '24 hours 1 second'"
        await connection.execute(older)
        again = await notes.post("/notes", json={"text": "another day"}, headers=KEY)
        assert again.status_code == 201
        assert "Idempotency-Replayed" not in again.headers
        await notes.post("/notes", json=NOTE, headers={"Idempotency-Key": "fresh"})
        await connection.execute(f"{older} WHERE key = 'key-1'")
        assert not await delete_expired(notes.service.transactions.engine, KEYS)
        rows = await connection.fetch("SELECT key FROM idempotency_keys")
    finally:
        await connection.close()
    assert [row["key"] for row in rows] == ["fresh"]


async def test_a_missing_key_is_refused_where_it_is_required(notes: ServiceClient) -> None:
    answer = await notes.post("/notes/required", json=NOTE, headers={"X-Tenant-Id": "default"})
    assert answer.status_code == 400
    assert answer.json()["field"] == "Idempotency-Key"


@pytest.mark.parametrize("key", ["", "k" * 256, "tab\tkey", b"\xff\x00"])
async def test_a_key_we_cannot_keep_is_refused(notes: ServiceClient, key: str | bytes) -> None:
    headers = httpx.Headers([(b"Idempotency-Key", key if isinstance(key, bytes) else key.encode())])
    answer = await notes.post("/notes", json=NOTE, headers=headers)
    assert answer.status_code == 400
    assert answer.json()["field"] == "Idempotency-Key"
