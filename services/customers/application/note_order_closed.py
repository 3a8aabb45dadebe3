"""A closed order no longer stands in the way of erasing its customer."""

from uuid import UUID

from services.customers.application.ports import CustomersUnitOfWork


async def note_order_closed(uow: CustomersUnitOfWork, *, order_id: UUID) -> None:
    """An order that was no purchase has no record here: nothing."""
    await uow.reservations.mark_closed(order_id)
