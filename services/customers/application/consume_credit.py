"""The purchase is complete: its credit is used up for good, unless the order is cancelled."""

from uuid import UUID

from services.customers.application.ports import CustomersUnitOfWork


async def consume_credit(uow: CustomersUnitOfWork, *, order_id: UUID) -> None:
    """RESERVED -> CONSUMED, else nothing: one statement, because every purchase comes by here."""
    await uow.reservations.consume(order_id)
