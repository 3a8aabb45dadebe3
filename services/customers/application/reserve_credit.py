"""A confirmed order takes its total from the customer's available credit."""

from uuid import UUID

from services.customers.application.ports import CustomersUnitOfWork, Hold
from services.customers.domain.credit_reservation import CreditReservation


async def reserve_credit(
    uow: CustomersUnitOfWork,
    *,
    tenant_id: str,
    order_id: UUID,
    customer_id: UUID,
    vehicle_id: UUID,
    price_cents: int,
) -> None:
    """Write a record that is RESERVED, or REFUSED with a reason. A record that exists, also as a
    tombstone, does not change.
    """
    reservation = CreditReservation(order_id, tenant_id, customer_id, price_cents)
    hold = await uow.reservations.add_holding_credit(reservation)
    if hold is Hold.HELD:
        uow.publish(*reservation.reserved(customer_id, vehicle_id))
    elif hold is Hold.NOT_HELD:
        reason = await uow.reservations.why_not_held(reservation)
        uow.publish(*reservation.refuse(customer_id, reason))
        await uow.reservations.save(reservation)
