"""Breaks rules of the credit."""

from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any
from unittest.mock import patch
from uuid import UUID

from libs.kernel.events import Direction
from services.customers.application.release_credit import release_credit
from services.customers.domain.credit_reservation import CreditReservation, ReservationState
from services.customers.domain.events import CreditReleased
from services.customers.infrastructure import consumers as customers
from tests.simulation.mutations.registry import mutation, nothing
from tests.unit.customers.memory import MemoryReservations


@mutation("releasing credit leaves no tombstone")
def no_tombstone_of_credit() -> AbstractContextManager[object]:
    rightly = release_credit

    async def forgetful(uow: Any, *, tenant_id: str, order_id: UUID) -> None:
        if order_id in uow.reservations.rows:
            await rightly(uow, tenant_id=tenant_id, order_id=order_id)
        else:
            uow.publish(*CreditReservation.tombstone(order_id, tenant_id).released())

    return patch.object(customers, "release_credit", forgetful)


@mutation("credit is released without looking whether it was held")
def credit_released_unseen() -> AbstractContextManager[object]:
    always = property(lambda self: self.customer_id is not None)
    return patch.object(CreditReservation, "holds_credit", always)


@mutation("the release of credit is declared as a step on")
def release_declared_forward() -> AbstractContextManager[object]:
    return patch.object(CreditReleased, "direction", Direction.FORWARD)


@mutation("credit is given back twice")
def credit_given_back_twice() -> AbstractContextManager[object]:
    rightly = MemoryReservations.give_back

    async def twice(self: Any, reservation: CreditReservation, held_as: ReservationState) -> None:
        await rightly(self, reservation, held_as)
        await rightly(self, reservation, held_as)

    return patch.object(MemoryReservations, "give_back", twice)


@mutation("more credit is reserved than there is")
def credit_without_limit() -> AbstractContextManager[object]:
    rightly = MemoryReservations.add_holding_credit

    async def generous(self: Any, reservation: CreditReservation) -> Any:
        customer = self._customer(reservation)
        if customer is None or reservation.order_id in self.rows:
            return await rightly(self, reservation)
        endless = replace(customer.credit, limit_cents=10**12)
        self.customers[customer.id] = replace(customer, credit=endless)
        hold = await rightly(self, reservation)
        moved = replace(self.customers[customer.id].credit, limit_cents=customer.credit.limit_cents)
        self.customers[customer.id] = replace(customer, credit=moved)
        return hold

    return patch.object(MemoryReservations, "add_holding_credit", generous)


@mutation("a released vehicle does not release the credit")
def credit_release_forgotten() -> AbstractContextManager[object]:
    return patch.object(customers, "release_credit", nothing)


@mutation("a completed order does not consume the credit")
def credit_not_consumed() -> AbstractContextManager[object]:
    return patch.object(customers, "consume_credit", nothing)


@mutation("a completion after the release consumes the credit")
def consumed_after_release() -> AbstractContextManager[object]:
    rightly = MemoryReservations.consume

    async def careless(self: MemoryReservations, order_id: UUID) -> None:
        record = self.rows.get(order_id)
        released = record is not None and record.state is ReservationState.RELEASED
        if record is None or not released or record.customer_id is None:
            await rightly(self, order_id)
            return
        self.rows[order_id] = replace(record, state=ReservationState.CONSUMED)
        customer = self._customer(record)
        if customer is not None:
            self._move(customer, consumed=record.price_cents)

    return patch.object(MemoryReservations, "consume", careless)


@mutation("consumed credit is not released")
def consumed_for_good() -> AbstractContextManager[object]:
    reserved = property(lambda self: self.state is ReservationState.RESERVED)
    return patch.object(CreditReservation, "holds_credit", reserved)


@mutation("an order that closes before its completion is not noted as closed")
def closing_lost() -> AbstractContextManager[object]:
    rightly = MemoryReservations.mark_closed

    async def forgetful(self: MemoryReservations, order_id: UUID) -> None:
        record = self.rows.get(order_id)
        if record is not None and record.state is ReservationState.CONSUMED:
            await rightly(self, order_id)

    return patch.object(MemoryReservations, "mark_closed", forgetful)
