"""Makes the smallest chain of two services: tills book takings, the ledger enters each, and the
tills consume the ledger's event. Only the inbox keeps an effect from happening twice: no table here
has a unique key over what it notes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar
from uuid import UUID

from alembic.migration import MigrationContext
from alembic.operations import Operations
from fastapi import APIRouter
from sqlalchemy import BigInteger, Column, Connection, Integer, MetaData, Table, Uuid, insert
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import create_async_engine
from starlette.responses import Response

from libs.kernel.ids import uuid7
from libs.messaging.envelope import EventData, Received
from libs.messaging.outbox.outbox import Outbox
from libs.messaging.outbox.unit_of_work import Transactions, UnitOfWork
from libs.messaging.saga.choreography import Choreography, choreography_of
from libs.messaging.saga.participant import Participant
from libs.messaging.saga.reactions import Reactions
from libs.messaging.schema import migrations
from libs.messaging.schema.tables import messaging_tables
from libs.runtime.auth import CallerDep
from libs.runtime.database import create_engine
from libs.runtime.idempotency import (
    Answer,
    Idempotency,
    RequiredIdempotentCallDep,
    idempotency_table,
)
from libs.runtime.routes import api_router
from libs.runtime.schemas import Body, Out
from libs.runtime.service import Service
from libs.runtime.settings import ServiceSettings
from services.events import TENANT, MarketEvent, tenant_of

TILLS_DATABASE = MetaData()
TILLS_MESSAGING = messaging_tables(TILLS_DATABASE)
KEYS = idempotency_table(TILLS_DATABASE)
TILLS = Table(
    "tills",
    TILLS_DATABASE,
    Column("id", Uuid, primary_key=True),
    Column("sequence", Integer, nullable=False),
)
TAKINGS = Table(
    "takings",
    TILLS_DATABASE,
    Column("id", Uuid, primary_key=True),
    Column("till_id", Uuid, nullable=False),
    Column("sequence", Integer, nullable=False),
)
ENTERED = Table(
    "entered",
    TILLS_DATABASE,
    Column("number", BigInteger, primary_key=True),
    Column("taking_id", Uuid, nullable=False),
)

LEDGER_DATABASE = MetaData()
LEDGER_MESSAGING = messaging_tables(LEDGER_DATABASE)
ENTRIES = Table(
    "entries",
    LEDGER_DATABASE,
    Column("number", BigInteger, primary_key=True),
    Column("taking_id", Uuid, nullable=False),
    Column("till_id", Uuid, nullable=False),
    Column("sequence", Integer, nullable=False),
)


@dataclass(frozen=True, kw_only=True)
class TillEvent(MarketEvent):
    till_id: UUID
    taking_id: UUID

    @property
    def subject(self) -> UUID:
        return self.till_id


@dataclass(frozen=True, kw_only=True)
class TakingBooked(TillEvent):
    type: ClassVar[str] = "taking.booked.v1"


@dataclass(frozen=True, kw_only=True)
class TakingEntered(TillEvent):
    type: ClassVar[str] = "taking.entered.v1"


class Taking(EventData):
    till_id: UUID
    taking_id: UUID


class TakingIn(Body):
    tills: list[UUID]
    """Each of these tills gets a taking, in this order, in one transaction."""


class TakingOut(Out):
    ids: list[UUID]


class TillsSettings(ServiceSettings):
    service: str = "tills"


class LedgerSettings(ServiceSettings):
    service: str = "ledger"


async def book(unit: UnitOfWork, tenant: str, tills: Sequence[UUID]) -> list[UUID]:
    taking_ids = []
    for till_id in tills:
        row = upsert(TILLS).values(id=till_id, sequence=1)
        raised = row.on_conflict_do_update(
            index_elements=[TILLS.c.id], set_={"sequence": TILLS.c.sequence + 1}
        )
        sequence = (await unit.connection.execute(raised.returning(TILLS.c.sequence))).scalar_one()
        taking_ids.append(taking_id := uuid7())
        taking = {"id": taking_id, "till_id": till_id, "sequence": sequence}
        await unit.connection.execute(insert(TAKINGS), taking)
        unit.publish(
            TakingBooked(tenant_id=tenant, sequence=sequence, till_id=till_id, taking_id=taking_id)
        )
    return taking_ids


def router(transactions: Transactions[UnitOfWork]) -> APIRouter:
    routes = api_router()
    idempotency = Idempotency(transactions, KEYS)

    @routes.post("/takings", status_code=201)
    async def take(
        caller: CallerDep, call: RequiredIdempotentCallDep, taking: TakingIn
    ) -> Response:
        async def work(unit: UnitOfWork) -> Answer:
            return Answer(201, TakingOut(ids=await book(unit, caller.tenant_id, taking.tills)))

        return await idempotency.run(call, work)

    return routes


async def note_entered(unit: UnitOfWork, event: Received[Taking]) -> None:
    await unit.connection.execute(insert(ENTERED), {"taking_id": event.data.taking_id})


async def enter(unit: UnitOfWork, event: Received[Taking]) -> None:
    till_id, taking_id, sequence = event.data.till_id, event.data.taking_id, event.sequence
    await unit.connection.execute(
        insert(ENTRIES), {"taking_id": taking_id, "till_id": till_id, "sequence": sequence}
    )
    unit.publish(
        TakingEntered(
            tenant_id=tenant_of(event), sequence=sequence, till_id=till_id, taking_id=taking_id
        )
    )


def tills() -> Participant:
    on = Reactions[UnitOfWork]("tills", extensions=(TENANT,))
    on.view(TakingEntered.type, Taking)(note_entered)
    return Participant("tills", publishes=(TakingBooked,), reactions=on)


def ledger() -> Participant:
    on = Reactions[UnitOfWork]("ledger", extensions=(TENANT,))
    on.view(TakingBooked.type, Taking)(enter)
    return Participant("ledger", publishes=(TakingEntered,), reactions=on)


def together() -> Choreography:
    return choreography_of([tills(), ledger()])


def build_tills(settings: TillsSettings) -> Service[UnitOfWork]:
    outbox = Outbox("tills", TILLS_MESSAGING)
    transactions = Transactions(create_engine(settings), outbox, UnitOfWork)
    return Service(
        settings, tills(), together(), TILLS_MESSAGING, transactions, [router(transactions)]
    )


def build_ledger(settings: LedgerSettings) -> Service[UnitOfWork]:
    outbox = Outbox("ledger", LEDGER_MESSAGING)
    transactions = Transactions(create_engine(settings), outbox, UnitOfWork)
    return Service(settings, ledger(), together(), LEDGER_MESSAGING, transactions, [])


async def create_tables(database_url: str, metadata: MetaData) -> None:
    """Make the library's tables as its migration makes them, and the service's own."""

    def create(connection: Connection) -> None:
        operations = Operations(MigrationContext.configure(connection))
        migrations.install(operations)
        migrations.upgrade(operations)
        own = {TILLS, TAKINGS, ENTERED, KEYS, ENTRIES} & set(metadata.sorted_tables)
        metadata.create_all(connection, tables=list(own))

    engine = create_async_engine(database_url)
    try:
        async with engine.begin() as connection:
            await connection.run_sync(create)
    finally:
        await engine.dispose()
