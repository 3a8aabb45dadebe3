"""A closed order no longer prevents the erasure of its customer."""

from uuid import UUID

from services.customers.application.ports import CustomersUnitOfWork


async def note_order_closed(uow: CustomersUnitOfWork, *, order_id: UUID) -> None:
    """Record that the order is closed. An order without a purchase has no record here."""
    await uow.reservations.mark_closed(order_id)
