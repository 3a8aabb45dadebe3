"""The purchase is complete: its credit is consumed, unless the order is cancelled later."""

from uuid import UUID

from services.customers.application.ports import CustomersUnitOfWork


async def consume_credit(uow: CustomersUnitOfWork, *, order_id: UUID) -> None:
    """RESERVED -> CONSUMED; any other state does not change. It is one statement, because every
    purchase passes here.
    """
    await uow.reservations.consume(order_id)
