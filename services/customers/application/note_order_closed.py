"""A closed order no longer prevents the erasure of its customer."""

from uuid import UUID

from services.customers.application.ports import CustomersUnitOfWork


async def note_order_closed(uow: CustomersUnitOfWork, *, order_id: UUID) -> None:
    """Note it on the purchase's record. An order without a purchase has no record here."""
    await uow.reservations.mark_closed(order_id)
