"""The compensation makes the credit that a purchase holds available again."""

from uuid import UUID

from services.customers.application.ports import CustomersUnitOfWork
from services.customers.domain.credit_reservation import CreditReservation


async def release_credit(uow: CustomersUnitOfWork, *, tenant_id: str, order_id: UUID) -> None:
    """Change RESERVED, CONSUMED or no record to RELEASED, and no other state."""
    tombstone = CreditReservation.tombstone(order_id, tenant_id)
    reservation = await uow.reservations.add_or_lock(tombstone)
    if reservation is None:
        uow.publish(*tombstone.released())
    elif reservation.holds_credit:
        held_as = reservation.state
        uow.publish(*reservation.release())
        await uow.reservations.give_back(reservation, held_as)
