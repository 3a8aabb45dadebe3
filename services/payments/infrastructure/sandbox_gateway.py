"""This gateway moves no money and does what the token says. Production does not use it.

Its table has one row for each idempotency key. `README.md` lists the tokens.
"""

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

from libs.calls.sandbox import NEVER, Sandbox
from services.payments.domain.gateway import Approved, Declined
from services.payments.infrastructure.tables import metadata


@dataclass(frozen=True)
class Scenario:
    """The fields say what happens on which call with the same key. Calls count from 1."""

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
_CHARGE = select(operations.c.order_id, operations.c.method).where(
    operations.c.key == bindparam("reference"),
    operations.c.outcome == "approved",
    operations.c.amount_cents == bindparam("amount"),
)


class SandboxGateway(Sandbox):
    """This sandbox implements the port Gateway."""

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
        await self._answer(calls, answered_on=scenario.charge_answered_on)
        if outcome == "approved":
            return Approved(key)
        return Declined(scenario.declined or "not_charged")

    async def refund(
        self, key: str, *, charge_reference: str, amount_cents: int
    ) -> Approved | Declined:
        charge = await self._book(_CHARGE, {"reference": charge_reference, "amount": amount_cents})
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
        await self._answer(calls, answered_on=scenario.refund_answered_on)
        return Approved(key) if outcome == "approved" else Declined("refund_refused")

    async def _operate(self, **operation: object) -> tuple[str, int]:
        row = await self._book(_CALL, operation)
        return row.outcome, row.calls
