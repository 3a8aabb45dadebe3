"""This bank moves no money and does what the seller's id says. Production does not use it.

Its table has one row for each idempotency key. `README.md` lists the ids.
"""

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Integer,
    Table,
    Text,
    Uuid,
    bindparam,
    func,
)
from sqlalchemy.dialects.postgresql import insert

from libs.calls.sandbox import NEVER, Sandbox
from services.payouts.domain.bank import Paid, Refused
from services.payouts.infrastructure.tables import metadata


@dataclass(frozen=True)
class Scenario:
    """The fields say what happens on which call with the same key. Calls count from 1 and are
    refused until one is paid.
    """

    paid_on: int = 1
    answered_on: int = 1
    refusal: str = ""
    for_good: bool = False


SCENARIOS = {
    "badbad000001": Scenario(paid_on=NEVER, refusal="account_closed", for_good=True),
    "badbad000002": Scenario(paid_on=2, refusal="limit_reached"),
    "badbad000003": Scenario(paid_on=4, refusal="limit_reached"),
    "badbad000004": Scenario(paid_on=2, answered_on=2),
    "badbad000005": Scenario(answered_on=2),
    "badbad000006": Scenario(paid_on=NEVER, answered_on=NEVER),
}
"""The key is the last twelve digits of a seller's id. All other sellers are paid."""
_USUAL = Scenario()

transfers = Table(
    "sandbox_transfers",
    metadata,
    Column("key", Text, primary_key=True),
    Column("external_id", Text, nullable=False),
    Column("seller_id", Uuid),
    Column("amount_cents", BigInteger, nullable=False),
    Column("paid", Boolean, nullable=False),
    Column("calls", Integer, nullable=False),
    Column("made_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
)
_paid_on = bindparam("paid_on", type_=Integer)
# Postgres evaluates the update on the stored row, so a payment stays made.
_TRANSFER = (
    insert(transfers)
    .values(paid=_paid_on <= 1, calls=1)
    .on_conflict_do_update(
        index_elements=[transfers.c.key],
        set_={
            "calls": transfers.c.calls + 1,
            "paid": transfers.c.paid | (transfers.c.calls + 1 >= _paid_on),
        },
    )
    .returning(transfers.c.paid, transfers.c.calls)
)


class SandboxBank(Sandbox):
    """This sandbox implements the port Bank."""

    async def pay(
        self, key: str, *, external_id: str, seller_id: UUID | None, amount_cents: int
    ) -> Paid | Refused:
        scenario = SCENARIOS.get(str(seller_id)[-12:], _USUAL)
        transfer = {
            "key": key,
            "external_id": external_id,
            "seller_id": seller_id,
            "amount_cents": amount_cents,
            "paid_on": scenario.paid_on,
        }
        booked = await self._book(_TRANSFER, transfer)
        await self._answer(booked.calls, answered_on=scenario.answered_on)
        return Paid(key) if booked.paid else Refused(scenario.refusal, scenario.for_good)
