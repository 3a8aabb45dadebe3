"""Recovers, and ends, the purchases that the database has lost: the command `take-up-lost`."""

from collections.abc import Iterable
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, PositiveInt, ValidationError

from libs.kernel.clock import utc_now
from libs.messaging.outbox.unit_of_work import Transactions
from libs.runtime.start_failure import StartFailure
from services.orders.application.take_up_lost_purchase import take_up_lost_purchase
from services.orders.infrastructure.postgres import PostgresOrdersUnitOfWork


class LostPurchase(BaseModel):
    """A line of the standard input, in JSON: what peers know of the purchase."""

    model_config = ConfigDict(extra="forbid")

    order_id: UUID
    tenant_id: str
    customer_id: UUID
    vehicle_id: UUID
    price_cents: PositiveInt = Field(alias="total_cents")


def read_lost(lines: Iterable[str]) -> list[LostPurchase]:
    """Raises StartFailure, which names the first malformed line."""
    found = []
    for number, line in enumerate(lines, 1):
        if line.strip():
            try:
                found.append(LostPurchase.model_validate_json(line))
            except ValidationError as error:
                first = error.errors()[0]
                where = ".".join(map(str, first["loc"])) or "the line"
                raise StartFailure(f"line {number}: {where}: {first['msg']}") from None
    return found


async def take_up(
    transactions: Transactions[PostgresOrdersUnitOfWork],
    lost: Iterable[LostPurchase],
) -> int:
    """Returns how many were recovered; the database knew the others."""
    taken = 0
    for each in lost:

        async def one(uow: PostgresOrdersUnitOfWork, each: LostPurchase = each) -> bool:
            return await take_up_lost_purchase(uow, **each.model_dump(), now=utc_now())

        taken += await transactions.run(one)
    return taken
