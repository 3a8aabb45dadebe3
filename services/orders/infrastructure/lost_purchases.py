"""The command `recover-lost` recovers the purchases that the database has lost, and ends them."""

from collections.abc import Iterable
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, PositiveInt, ValidationError
from sqlalchemy.exc import IntegrityError

from libs.kernel.clock import utc_now
from libs.messaging.outbox.unit_of_work import Transactions
from libs.runtime.start_failure import StartFailure
from services.orders.application.recover_lost_purchase import recover_lost_purchase
from services.orders.infrastructure.postgres import PostgresOrdersUnitOfWork


class LostPurchase(BaseModel):
    """A line of the standard input says in JSON what peers know of one lost purchase."""

    model_config = ConfigDict(extra="forbid")

    order_id: UUID
    tenant_id: str
    customer_id: UUID
    vehicle_id: UUID
    price_cents: PositiveInt = Field(alias="total_cents")


def read_lost(lines: Iterable[str]) -> list[LostPurchase]:
    """Return the purchases. Raises StartFailure, which names the first malformed line."""
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


async def recover(
    transactions: Transactions[PostgresOrdersUnitOfWork],
    lost: Iterable[LostPurchase],
) -> int:
    """Recover the purchases that the database does not know, and return their number. Raises
    StartFailure for the first whose id is another tenant's.
    """
    recovered = 0
    for each in lost:

        async def one(uow: PostgresOrdersUnitOfWork, each: LostPurchase = each) -> bool:
            return await recover_lost_purchase(uow, **each.model_dump(), now=utc_now())

        try:
            recovered += await transactions.run(one)
        except IntegrityError:
            raise StartFailure(
                f"order {each.order_id}: it is not of tenant {each.tenant_id}, but of another one"
            ) from None
    return recovered
