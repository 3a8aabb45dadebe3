"""A closed order no longer prevents the erasure of its customer."""

from uuid import UUID

from services.customers.application.ports import CustomersUnitOfWork


async def note_order_closed(uow: CustomersUnitOfWork, *, order_id: UUID) -> None:
    """An order without a purchase has no record here; nothing happens."""
    await uow.reservations.mark_closed(order_id)
