"""Over HTTP, only operators release given-up events, and only those of their tenant."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import aio_pika
import asyncpg
import pytest
from aio_pika.abc import AbstractQueue

from libs.kernel.clock import utc_now
from libs.kernel.ids import uuid7
from services.tokens import Issuer
from tests.fixtures.polling import eventually
from tests.fixtures.services import ServiceClient, serving
from tests.integration.runtime.notes import NotesSettings, build

LIST = "/outbox/given-up"
STALE = timedelta(days=8)
FORGOTTEN = timedelta(days=40)
WRITE = """
INSERT INTO outbox (source, id, subject, type, body, created_at, attempts, due_at, error)
VALUES ('notes', $1, $2, 'note.taken.v1', $3, now() - $4::interval, 1, 'infinity', 'older')
"""


@dataclass
class Desk:
    """A `Desk` has the notes service with tokens on and a relay at work, and what it published."""

    client: ServiceClient
    issuer: Issuer
    database: asyncpg.Connection
    published: AbstractQueue

    async def given_up(self, age: timedelta, *, tenant: str | None = "north") -> UUID:
        event_id = UUID(
            int=int((utc_now() - age).timestamp() * 1000) << 80 | uuid7().int & (1 << 80) - 1
        )
        body = {"id": str(event_id)} | ({} if tenant is None else {"tenantid": tenant})
        await self.database.execute(WRITE, event_id, str(uuid4()), json.dumps(body).encode(), age)
        return event_id

    async def listed(self, **caller: Any) -> Any:
        answer = await self.client.get(LIST, headers=self._headers(**caller))
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def ask(self, event_id: UUID, *, not_handled: bool = False, **caller: Any) -> Any:
        answer = await self.client.post(
            f"{LIST}/{event_id}/send-again",
            json={"not_handled": not_handled},
            headers=self._headers(**caller),
        )
        problem = answer.json().get("type", "").rpartition(":")[2]
        return answer.status_code, problem or answer.json()

    async def waits(self, event_id: UUID) -> bool:
        """Return whether the event is still given up."""
        return bool(
            await self.database.fetchval(
                "SELECT true FROM outbox WHERE id = $1 AND due_at = 'infinity'", event_id
            )
        )

    async def next_published(self) -> Any:
        async def arrived() -> Any:
            return await self.published.get(no_ack=True, fail=False)

        return json.loads((await eventually(arrived)).body)

    def _headers(self, role: str = "operator", tenant: str = "north") -> dict[str, str]:
        token = self.issuer.token(roles=[role], subject="somebody", tenant=tenant)
        return {"Authorization": f"Bearer {token}"}


@pytest.fixture
async def desk(notes_database: str, vhost: str, tmp_path: Path) -> AsyncIterator[Desk]:
    issuer = Issuer(tmp_path / ".local")
    settings = NotesSettings(
        _env_file=None,
        database_url=notes_database,
        rabbitmq_url=vhost,
        role="all",
        auth="on",
        jwks_url=str(issuer.jwks),
    )
    database = await asyncpg.connect(notes_database.replace("+asyncpg", ""))
    try:
        async with await aio_pika.connect(vhost) as broker:
            channel = await broker.channel()
            exchange = await channel.declare_exchange("notes", "topic", durable=True)
            queue = await channel.declare_queue("published")
            await queue.bind(exchange, "#")
            async with serving(build(settings)) as client:
                yield Desk(client, issuer, database, queue)
    finally:
        await database.close()


async def test_a_given_up_event_goes_out_again_under_its_own_id(desk: Desk) -> None:
    event_id = await desk.given_up(STALE)
    listed = await desk.listed()
    assert listed["total"] == 1
    assert listed["items"][0]["id"] == str(event_id)
    assert listed["items"][0]["type"] == "note.taken.v1"
    assert listed["items"][0]["error"] == "older"
    assert listed["items"][0]["needs_new_id"] is False
    status, sent = await desk.ask(event_id, role="admin")
    assert (status, sent["new_id"]) == (200, None)
    assert (await desk.next_published())["id"] == str(event_id)
    assert (await desk.ask(event_id)) == (404, "given-up-event-not-found")
    assert (await desk.listed()) == {"items": [], "total": 0}


async def test_an_event_that_no_inbox_knows_goes_out_under_a_new_id_when_nobody_handled_it(
    desk: Desk,
) -> None:
    event_id = await desk.given_up(FORGOTTEN)
    assert (await desk.listed())["items"][0]["needs_new_id"] is True
    assert (await desk.ask(event_id)) == (409, "copy-may-be-handled")
    assert await desk.waits(event_id)
    status, sent = await desk.ask(event_id, not_handled=True)
    assert status == 200
    published = await desk.next_published()
    assert published["id"] == sent["new_id"] != str(event_id)
    assert published["causationid"] == str(event_id)


async def test_another_tenants_event_is_not_found_and_a_buyer_is_refused(desk: Desk) -> None:
    event_id, unnamed = await desk.given_up(STALE), await desk.given_up(STALE, tenant=None)
    assert (await desk.listed(tenant="south"))["items"] == []
    assert (await desk.ask(event_id, tenant="south")) == (404, "given-up-event-not-found")
    assert [each["id"] for each in (await desk.listed(tenant="default"))["items"]] == [str(unnamed)]
    for role in ("buyer", "seller"):
        assert (await desk.ask(event_id, role=role)) == (403, "forbidden")
    assert await desk.waits(event_id)
    assert await desk.waits(unnamed)


async def test_an_event_that_cannot_be_read_is_refused_and_stays(desk: Desk) -> None:
    event_id = await desk.given_up(FORGOTTEN)
    await desk.database.execute("UPDATE outbox SET body = 'no json'")
    answer = await desk.ask(event_id, not_handled=True, tenant="default")
    assert answer == (409, "event-cannot-be-sent-again")
    assert await desk.waits(event_id)
