"""Makes the smallest possible service, to test what all services share. It also runs as a process:
`python -m tests.integration.runtime.notes`.
"""

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar
from uuid import UUID

from alembic.migration import MigrationContext
from alembic.operations import Operations
from fastapi import APIRouter, Header, Request
from pydantic import Field
from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Integer,
    MetaData,
    Table,
    Text,
    Uuid,
    insert,
    select,
    text,
    update,
)
from sqlalchemy.ext.asyncio import create_async_engine
from starlette.responses import Response

from libs.kernel.errors import Conflict, NotFound, StaleVersion
from libs.kernel.ids import uuid7
from libs.messaging.outbox.outbox import Outbox
from libs.messaging.outbox.unit_of_work import Transactions, UnitOfWork
from libs.messaging.saga.choreography import choreography_of
from libs.messaging.saga.participant import Participant
from libs.messaging.saga.reactions import Reactions
from libs.messaging.schema import migrations
from libs.messaging.schema.tables import messaging_tables
from libs.runtime.auth import CallerDep, TenantCallerDep
from libs.runtime.concurrency import IfMatchDep, OptionalIfMatchDep
from libs.runtime.database import create_engine
from libs.runtime.idempotency import (
    Answer,
    Idempotency,
    IdempotentCallDep,
    RequiredIdempotentCallDep,
    idempotency_table,
    respond,
)
from libs.runtime.pagination import PageDep
from libs.runtime.routes import api_router
from libs.runtime.schemas import Body, Cents, Out
from libs.runtime.server import main
from libs.runtime.service import Service
from libs.runtime.settings import ServiceSettings
from services.events import MarketEvent
from services.settings import NAME

metadata = MetaData()
TABLES = messaging_tables(metadata)
KEYS = idempotency_table(metadata)
NOTES = Table(
    "notes",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("tenant_id", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("cents", BigInteger, nullable=False),
    Column("version", Integer, nullable=False),
)


@dataclass(frozen=True, kw_only=True)
class NoteTaken(MarketEvent):
    type: ClassVar[str] = "note.taken.v1"
    note_id: UUID

    @property
    def subject(self) -> UUID:
        return self.note_id


class NoteRefused(Conflict):
    code = "note-refused"


class NoteIn(Body):
    text: Annotated[str, Field(min_length=1, max_length=200)]
    cents: Cents = 0
    count: int = 0


class NoteOut(Out):
    id: UUID
    text: str
    version: int


class NotesSettings(ServiceSettings):
    problem_prefix = "urn:notes:problem:"

    service: str = "notes"
    jwt_issuer: str = NAME
    jwt_audience: str = NAME
    slow_seconds: float = 0


def router(transactions: Transactions[UnitOfWork], settings: NotesSettings) -> APIRouter:
    routes = api_router(prefix="/notes")
    idempotency = Idempotency(transactions, KEYS)

    async def take(unit: UnitOfWork, tenant: str, note: NoteIn) -> Answer:
        if note.text == "refuse":
            raise NoteRefused("this note is refused", field="text")
        note_id = uuid7()
        await unit.connection.execute(
            insert(NOTES),
            {
                "id": note_id,
                "tenant_id": tenant,
                "text": note.text,
                "cents": note.cents,
                "version": 1,
            },
        )
        unit.publish(NoteTaken(tenant_id=tenant, sequence=1, note_id=note_id))
        if settings.slow_seconds:
            await unit.connection.execute(text("SELECT pg_sleep(:s)"), {"s": settings.slow_seconds})
        out = NoteOut(id=note_id, text=note.text, version=1)
        return Answer(201, out, version=1, location=f"/notes/{note_id}")

    @routes.post("", status_code=201)
    async def take_note(caller: CallerDep, call: IdempotentCallDep, note: NoteIn) -> Response:
        return await idempotency.run(call, lambda unit: take(unit, caller.tenant_id, note))

    @routes.post("/required", status_code=201)
    async def take_required(
        caller: TenantCallerDep, call: RequiredIdempotentCallDep, note: NoteIn
    ) -> Response:
        return await idempotency.run(call, lambda unit: take(unit, caller.tenant_id, note))

    @routes.get("")
    async def list_notes(
        caller: CallerDep, page: PageDep, request: Request, containing: str | None = None
    ) -> Response:
        query = select(NOTES).where(NOTES.c.tenant_id == caller.tenant_id)
        if containing is not None:
            query = query.where(NOTES.c.text.contains(containing, autoescape=True))
        if page.after is not None:
            query = query.where(NOTES.c.id > UUID(page.after[0]))
        query = query.order_by(NOTES.c.id).limit(page.limit + 1)
        rows = await transactions.run(lambda unit: _all(unit, query))
        shown = rows[: page.limit]
        last = (shown[-1].id,) if len(rows) > page.limit else None
        items = [NoteOut(id=row.id, text=row.text, version=row.version) for row in shown]
        return page.answer(items, last, request)

    @routes.patch("/{note_id}")
    async def change_note(
        caller: CallerDep, note_id: UUID, version: IfMatchDep, note: NoteIn
    ) -> Response:
        async def change(unit: UnitOfWork) -> Answer:
            found = (
                await unit.connection.execute(
                    select(NOTES)
                    .where(NOTES.c.id == note_id, NOTES.c.tenant_id == caller.tenant_id)
                    .with_for_update()
                )
            ).one_or_none()
            if found is None:
                raise NotFound("no such note")
            if found.version != version:
                raise StaleVersion("the note has changed")
            await unit.connection.execute(
                update(NOTES)
                .where(NOTES.c.id == note_id)
                .values(text=note.text, version=version + 1)
            )
            out = NoteOut(id=note_id, text=note.text, version=version + 1)
            return Answer(200, out, version=version + 1)

        return respond(await transactions.run(change))

    @routes.post("/{note_id}/close")
    async def close_note(note_id: UUID, version: OptionalIfMatchDep) -> dict[str, Any]:
        return {"id": note_id, "version": version}

    @routes.get("/whoami")
    async def whoami(caller: CallerDep) -> dict[str, Any]:
        return {
            "tenant": caller.tenant_id,
            "subject": caller.subject,
            "roles": sorted(caller.roles),
            "customer_id": caller.customer_id,
        }

    @routes.get("/admin")
    async def admin_only(caller: CallerDep) -> dict[str, Any]:
        caller.require("admin")
        return {}

    @routes.get("/broken")
    async def broken() -> None:
        raise RuntimeError("secret internals")

    @routes.get("/missing-file")
    async def missing_file() -> None:
        Path("/nonexistent/secret").read_bytes()  # noqa: ASYNC240

    @routes.get("/slow-peer")
    async def slow_peer() -> None:
        async with asyncio.timeout(0):
            await asyncio.Event().wait()

    @routes.get("/number")
    async def number(value: int, x_count: Annotated[int, Header()] = 0) -> dict[str, Any]:
        async def ask(unit: UnitOfWork) -> Any:
            return (
                await unit.connection.execute(select(NOTES.c.id).where(NOTES.c.cents == value))
            ).all()

        return {"found": len(await transactions.run(ask)), "count": x_count}

    @routes.get("/sleep")
    async def sleep(seconds: float) -> dict[str, Any]:
        async def rest(unit: UnitOfWork) -> None:
            await unit.connection.execute(text("SELECT pg_sleep(:s)"), {"s": seconds})

        await transactions.run(rest)
        return {}

    return routes


PARTICIPANT = Participant(
    "notes",
    publishes=(NoteTaken,),
    reactions=Reactions("notes"),
    unconsumed=frozenset({NoteTaken.type}),
)


async def _all(unit: UnitOfWork, query: Any) -> Any:
    return (await unit.connection.execute(query)).all()


def build(settings: NotesSettings) -> Service[UnitOfWork]:
    outbox = Outbox(settings.service, TABLES)
    transactions = Transactions(create_engine(settings), outbox, UnitOfWork)
    participant = Participant(
        "notes",
        publishes=(NoteTaken,),
        reactions=Reactions("notes"),
        unconsumed=frozenset({NoteTaken.type}),
    )
    return Service(
        settings=settings,
        participant=participant,
        choreography=choreography_of([participant]),
        tables=TABLES,
        transactions=transactions,
        routers=[router(transactions, settings)],
    )


async def create_tables(database_url: str) -> None:
    engine = create_async_engine(database_url)
    try:
        async with engine.begin() as connection:
            await connection.run_sync(_install)
    finally:
        await engine.dispose()


def _install(connection: Connection) -> None:
    operations = Operations(MigrationContext.configure(connection))
    migrations.install(operations)
    migrations.upgrade(operations)
    metadata.create_all(connection, tables=[NOTES, KEYS])


if __name__ == "__main__":
    main(NotesSettings, build)
