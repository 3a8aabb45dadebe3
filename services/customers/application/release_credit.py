"""The compensation: the credit that a purchase holds becomes available again."""

from uuid import UUID

from services.customers.application.ports import CustomersUnitOfWork
from services.customers.domain.credit_reservation import CreditReservation


async def release_credit(uow: CustomersUnitOfWork, *, tenant_id: str, order_id: UUID) -> None:
    """RESERVED, CONSUMED or no record -> RELEASED, with the event credit.released. Any other state
    does not change.
    """
    tombstone = CreditReservation.tombstone(order_id, tenant_id)
    reservation = await uow.reservations.add_or_lock(tombstone)
    if reservation is None:
        uow.publish(*tombstone.released())
    elif reservation.holds_credit:
        held_as = reservation.state
        uow.publish(*reservation.release())
        await uow.reservations.give_back(reservation, held_as)
