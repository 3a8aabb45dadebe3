"""A gateway for every environment but production: it moves no money and does what the token says.

It keeps its own books, one row for each idempotency key, written before it answers: a repeated key
returns the first result, whatever process was killed in between. `README.md` lists the tokens.
"""

import asyncio
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    Column,
    DateTime,
    Index,
    Integer,
    Table,
    Text,
    Uuid,
    bindparam,
    case,
    func,
    select,
)
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncEngine

from services.payments.domain.gateway import Approved, Declined
from services.payments.infrastructure.tables import metadata

NEVER = 2**31 - 1


@dataclass(frozen=True)
class Scenario:
    """What happens on which call with the same key; calls count from 1."""

    declined: str | None = None
    charged_on: int = 1
    charge_answered_on: int = 1
    refunded_on: int = 1
    refund_answered_on: int = 1


SCENARIOS = {
    "tok_approve": Scenario(),
    "tok_decline": Scenario(declined="card_declined"),
    "tok_insufficient_funds": Scenario(declined="insufficient_funds"),
    "tok_timeout": Scenario(charged_on=2, charge_answered_on=2),
    "tok_lost_answer": Scenario(charge_answered_on=2),
    "tok_silent": Scenario(charged_on=NEVER, charge_answered_on=NEVER),
    "tok_refund_refused": Scenario(refunded_on=NEVER),
    "tok_refund_refused_once": Scenario(refunded_on=2),
    "tok_refund_refused_thrice": Scenario(refunded_on=4),
    "tok_refund_lost_answer": Scenario(refund_answered_on=2),
}
_UNKNOWN_TOKEN = Scenario(declined="unknown_token")

operations = Table(
    "sandbox_operations",
    metadata,
    Column("key", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("order_id", Uuid, nullable=False),
    Column("amount_cents", BigInteger, nullable=False),
    Column("method", Text, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("calls", Integer, nullable=False),
    Column("made_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Index("ix_sandbox_operations_order_id", "order_id"),
)
_call = insert(operations).values(
    outcome=case((bindparam("done_on", type_=Integer) <= 1, bindparam("result")), else_="nothing"),
    calls=1,
)
# Postgres evaluates this on the stored row, so a decision never changes.
_CALL = _call.on_conflict_do_update(
    index_elements=[operations.c.key],
    set_={
        "calls": operations.c.calls + 1,
        "outcome": case(
            (operations.c.outcome != "nothing", operations.c.outcome),
            (operations.c.calls + 1 >= bindparam("done_on", type_=Integer), bindparam("result")),
            else_="nothing",
        ),
    },
).returning(operations.c.outcome, operations.c.calls)


class SandboxGateway:
    """Implements Gateway. `latency` is in seconds, for every call."""

    def __init__(self, engine: AsyncEngine, *, latency: float = 0.0) -> None:
        self._engine = engine.execution_options(isolation_level="AUTOCOMMIT")
        self._latency = latency
        self._places = asyncio.Semaphore(2)  # keeps connections of the shared database free

    async def charge(
        self, key: str, *, order_id: UUID, amount_cents: int, method: str
    ) -> Approved | Declined:
        scenario = SCENARIOS.get(method, _UNKNOWN_TOKEN)
        outcome, calls = await self._operate(
            key=key,
            kind="charge",
            order_id=order_id,
            amount_cents=amount_cents,
            method=method,
            result="declined" if scenario.declined else "approved",
            done_on=scenario.charged_on,
        )
        await self._answer(calls, scenario.charge_answered_on)
        if outcome == "approved":
            return Approved(key)
        return Declined(scenario.declined or "not_charged")

    async def refund(
        self, key: str, *, charge_reference: str, amount_cents: int
    ) -> Approved | Declined:
        async with self._engine.connect() as connection:
            charge = (
                await connection.execute(
                    select(operations.c.order_id, operations.c.method).where(
                        operations.c.key == charge_reference,
                        operations.c.outcome == "approved",
                        operations.c.amount_cents == amount_cents,
                    )
                )
            ).first()
        if charge is None:
            return Declined("no_such_charge")
        scenario = SCENARIOS[charge.method]
        outcome, calls = await self._operate(
            key=key,
            kind="refund",
            order_id=charge.order_id,
            amount_cents=amount_cents,
            method=charge.method,
            result="approved",
            done_on=scenario.refunded_on,
        )
        await self._answer(calls, scenario.refund_answered_on)
        return Approved(key) if outcome == "approved" else Declined("refund_refused")

    async def _operate(self, **operation: object) -> tuple[str, int]:
        async with self._places, self._engine.connect() as connection:
            row = (await connection.execute(_CALL, operation)).one()
        return row.outcome, row.calls

    async def _answer(self, calls: int, answered_on: int) -> None:
        """No answer comes before that call: the caller's patience ends the wait."""
        await asyncio.sleep(self._latency)
        if calls < answered_on:
            await asyncio.Event().wait()
