"""Makes events of purchases as the portal consumes them."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from libs.kernel.ids import uuid7
from libs.messaging.envelope import Received
from services.portal.infrastructure.consumers import reactions
from services.portal.infrastructure.store.postgres import PostgresPortalUnitOfWork, Store

START = datetime(2026, 11, 22, 12, tzinfo=UTC)
CUSTOMER, VEHICLE, SELLER = uuid7(), uuid7(), uuid7()

Consumed = tuple[str, str, int, dict[str, object]]
WAY_FORWARD: tuple[Consumed, ...] = (
    ("order.confirmed.v1", "orders", 1, {"total_cents": 500, "customer_id": CUSTOMER}),
    ("credit.reserved.v1", "customers", 1, {"total_cents": 500}),
    ("vehicle.reserved.v1", "vehicles", 1, {"seller_id": SELLER, "make": "Fiat"}),
    ("payment.code_generated.v1", "payments", 1, {"code": "MV-SECRET", "amount_cents": 500}),
    ("payment.processed.v1", "payments", 2, {"amount_cents": 500}),
    ("vehicle.sold.v1", "vehicles", 2, {"vehicle_id": VEHICLE}),
    ("order.completed.v1", "orders", 2, {"total_cents": 500}),
    ("order.closed.v1", "orders", 3, {"total_cents": 500, "seller_id": SELLER}),
    ("payout.completed.v1", "payouts", 1, {"amount_cents": 500}),
)


def envelope(
    order_id: UUID, consumed: Consumed, *, after_ms: int = 0, tenant: str = "default"
) -> dict[str, Any]:
    event_type, service, sequence, data = consumed
    return {
        "specversion": "1.0",
        "id": str(uuid7()),
        "source": service,
        "type": event_type,
        "subject": str(order_id),
        "time": (START + timedelta(milliseconds=after_ms)).isoformat(),
        "tenantid": tenant,
        "sequence": sequence,
        "data": {
            "order_id": str(order_id),
            **{k: str(v) if isinstance(v, UUID) else v for k, v in data.items()},
        },
    }


async def consume(transactions: Store, *envelopes: dict[str, Any]) -> None:
    """Run the reactions to these events in one transaction, as the library does."""
    known = reactions().by_event

    async def react(uow: PostgresPortalUnitOfWork) -> None:
        for each in envelopes:
            reaction = known[each["type"]]
            received: Any = Received[reaction.data_model]  # type: ignore[name-defined]
            await reaction.handler(uow, received.model_validate(each))

    await transactions.run(react)


async def buy(transactions: Store, *, steps: int = 9, tenant: str = "default") -> UUID:
    """Consume the first steps of a purchase, one after the other, 100 ms apart."""
    order_id = uuid7()
    for n, consumed in enumerate(WAY_FORWARD[:steps]):
        await consume(transactions, envelope(order_id, consumed, after_ms=100 * n, tenant=tenant))
    return order_id
