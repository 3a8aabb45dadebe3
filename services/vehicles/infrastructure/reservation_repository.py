"""Each method here is one statement; a few need two because of a race.

Locks are taken in one order everywhere: the record, then its vehicle.
"""

from typing import Any
from uuid import UUID

from sqlalchemy import Row, bindparam, literal, select, true, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from services.vehicles.application.ports import Held
from services.vehicles.domain.reservation import Reservation, State
from services.vehicles.domain.vehicle import Details, Vehicle
from services.vehicles.infrastructure.tables import reservations, vehicles

_FOR_SALE_STATE = (
    vehicles.c.id.label("held_id"),
    vehicles.c.tenant_id.label("held_tenant_id"),
    vehicles.c.seller_id,
    vehicles.c.make,
    vehicles.c.model,
    vehicles.c.year,
    vehicles.c.colour,
    vehicles.c.price_cents,
    vehicles.c.is_reserved,
    vehicles.c.is_sold,
    vehicles.c.withdrawn,
    vehicles.c.version,
    vehicles.c.sequence.label("held_sequence"),
)
"""These are all columns of a vehicle but its papers, because no purchase needs the papers."""

_INSERT = (
    insert(reservations)
    .values({column.name: bindparam(column.name) for column in reservations.c})
    .on_conflict_do_nothing()
    .returning(reservations.c.order_id)
)

_written = _INSERT.cte("written")
_asked_for = (
    select(*_FOR_SALE_STATE)
    .where(
        vehicles.c.id == bindparam("vehicle_id"),
        vehicles.c.tenant_id == bindparam("tenant_id"),
        # The record comes first: nothing is locked for a purchase that already has one.
        select(_written.c.order_id).exists(),
    )
    .with_for_update()
    .cte("held")
)
_OPEN = select(_written.c.order_id, _asked_for).select_from(_written.outerjoin(_asked_for, true()))

_record = (
    select(reservations)
    .where(reservations.c.order_id == bindparam("order_id"))
    .with_for_update()
    .cte("record")
)
_held = (
    select(*_FOR_SALE_STATE)
    .where(vehicles.c.id == select(_record.c.vehicle_id).scalar_subquery())
    .with_for_update()
    .cte("held")
)
_LOCK = select(_record, _held).select_from(_record.outerjoin(_held, true()))

_SAVE = (
    update(reservations)
    .where(reservations.c.order_id == bindparam("of_order"))
    .values(state=bindparam("new_state"), sequence=bindparam("new_sequence"))
    .add_cte(
        update(vehicles)
        .where(vehicles.c.id == bindparam("of_vehicle"))
        .values(
            is_reserved=bindparam("reserved"),
            is_sold=bindparam("sold"),
            withdrawn=bindparam("taken_off"),
            version=bindparam("new_version"),
        )
        .returning(literal(1))
        .cte("held")
    )
)


class PostgresReservations:
    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def open(self, reservation: Reservation) -> Held | None:
        row = (await self._connection.execute(_OPEN, _columns(reservation))).one_or_none()
        return None if row is None else Held(reservation, _vehicle(row))

    async def find_locked(self, order_id: UUID) -> Held | None:
        row = (await self._connection.execute(_LOCK, {"order_id": order_id})).one_or_none()
        return None if row is None else Held(_reservation(row), _vehicle(row))

    async def add_or_lock(self, tombstone: Reservation) -> Held | None:
        """Look for the record first, because most releases find one. The insert decides races."""
        held = await self.find_locked(tombstone.order_id)
        if held is not None:
            return held
        written = await self._connection.execute(_INSERT, _columns(tombstone))
        if written.one_or_none() is not None:
            return None
        return await self.find_locked(tombstone.order_id)

    async def save(self, held: Held) -> None:
        reservation, vehicle = held.reservation, held.vehicle
        await self._connection.execute(
            _SAVE,
            {
                "of_order": reservation.order_id,
                "new_state": reservation.state.value,
                "new_sequence": reservation.sequence,
                "of_vehicle": vehicle and vehicle.id,
                "reserved": vehicle and vehicle.is_reserved,
                "sold": vehicle and vehicle.is_sold,
                "taken_off": vehicle and vehicle.withdrawn,
                "new_version": vehicle and vehicle.version,
            },
        )


def _columns(reservation: Reservation) -> dict[str, Any]:
    return {
        "order_id": reservation.order_id,
        "tenant_id": reservation.tenant_id,
        "vehicle_id": reservation.vehicle_id,
        "customer_id": reservation.customer_id,
        "state": reservation.state.value,
        "sequence": reservation.sequence,
    }


def _reservation(row: Row[Any]) -> Reservation:
    return Reservation(
        row.order_id,
        row.tenant_id,
        row.vehicle_id,
        row.customer_id,
        State(row.state),
        row.sequence,
    )


def _vehicle(row: Row[Any]) -> Vehicle | None:
    if row.held_id is None:
        return None
    return Vehicle(
        id=row.held_id,
        tenant_id=row.held_tenant_id,
        seller_id=row.seller_id,
        details=Details(row.make, row.model, row.year, row.colour, row.price_cents),
        is_reserved=row.is_reserved,
        is_sold=row.is_sold,
        withdrawn=row.withdrawn,
        version=row.version,
        sequence=row.held_sequence,
    )
