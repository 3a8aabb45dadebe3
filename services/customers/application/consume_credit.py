"""A completed purchase consumes its credit, until the order is cancelled."""

from uuid import UUID

from services.customers.application.ports import CustomersUnitOfWork


async def consume_credit(uow: CustomersUnitOfWork, *, order_id: UUID) -> None:
    """Change a RESERVED record to CONSUMED, and no other. One statement does it, because every
    purchase needs it.
    """
    await uow.reservations.consume(order_id)
