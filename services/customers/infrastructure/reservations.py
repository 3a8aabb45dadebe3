"""Credit reservations in Postgres. The statements here run once or more for each purchase, so each
does as much as it can.
"""

from typing import Any
from uuid import UUID

from sqlalchemy import select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from services.customers.application.ports import Hold
from services.customers.domain.credit_reservation import (
    CreditReservation,
    Refusal,
    ReservationState,
)
from services.customers.infrastructure.tables import credit_reservations, customers

# Reactions run several to a transaction, each on another purchase and customer: two of them that
# take the same rows in another order would deadlock. So they take turns.
TURN = "SELECT pg_advisory_xact_lock(hashtext('credit'))"

# The record first, then the customer, and only with a new record. The row's conditions are read
# again after waiting for its lock, so that many at once never take more than there is.
RESERVE = text(
    f"""
    WITH turn AS MATERIALIZED ({TURN}),
    record AS (
        INSERT INTO credit_reservations
            (order_id, tenant_id, customer_id, total_cents, state, sequence)
        SELECT CAST(:order_id AS uuid), CAST(:tenant_id AS text), CAST(:customer_id AS uuid),
            CAST(:total_cents AS bigint), CAST(:state AS text), CAST(:sequence AS integer)
        FROM turn
        ON CONFLICT (order_id) DO NOTHING
        RETURNING customer_id, tenant_id, total_cents
    ),
    held AS (
        UPDATE customers
        SET available_cents = available_cents - record.total_cents,
            reserved_cents = reserved_cents + record.total_cents
        FROM record
        WHERE customers.id = record.customer_id
            AND customers.tenant_id = record.tenant_id
            AND customers.erased_at IS NULL
            AND customers.available_cents >= record.total_cents
        RETURNING customers.id
    )
    SELECT EXISTS (SELECT FROM record) AS added, EXISTS (SELECT FROM held) AS held
    """  # noqa: S608 - TURN is a constant
)

CONSUME = text(
    f"""
    WITH turn AS MATERIALIZED ({TURN}),
    consumed AS (
        UPDATE credit_reservations SET state = 'CONSUMED'
        FROM turn
        WHERE order_id = CAST(:order_id AS uuid) AND state = 'RESERVED'
        RETURNING customer_id, total_cents
    )
    UPDATE customers
    SET reserved_cents = reserved_cents - consumed.total_cents,
        consumed_cents = consumed_cents + consumed.total_cents
    FROM consumed WHERE customers.id = consumed.customer_id
    """  # noqa: S608 - TURN is a constant
)

CLOSE = text(
    f"""
    WITH turn AS MATERIALIZED ({TURN})
    UPDATE credit_reservations SET order_closed = true
    FROM turn WHERE order_id = CAST(:order_id AS uuid)
    """  # noqa: S608 - TURN is a constant
)

ANY_OPEN = text(
    """
    SELECT EXISTS (
        SELECT FROM credit_reservations
        WHERE customer_id = CAST(:customer_id AS uuid)
            AND (state = 'RESERVED' OR (state = 'CONSUMED' AND NOT order_closed))
    )
    """
)

HELD_IN = {
    ReservationState.RESERVED: customers.c.reserved_cents,
    ReservationState.CONSUMED: customers.c.consumed_cents,
}


class PostgresReservations:
    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def add_holding_credit(self, reservation: CreditReservation) -> Hold:
        done = (await self._connection.execute(RESERVE, _columns(reservation))).one()
        if not done.added:
            return Hold.DECIDED_BEFORE
        return Hold.HELD if done.held else Hold.NOT_HELD

    async def why_not_held(self, reservation: CreditReservation) -> Refusal:
        found = await self._connection.execute(
            select(customers.c.erased_at).where(
                customers.c.id == reservation.customer_id,
                customers.c.tenant_id == reservation.tenant_id,
            )
        )
        row = found.one_or_none()
        if row is None:
            return Refusal.UNKNOWN_CUSTOMER
        return Refusal.CREDIT_TOO_LOW if row.erased_at is None else Refusal.CUSTOMER_ERASED

    async def add_or_lock(self, tombstone: CreditReservation) -> CreditReservation | None:
        await self._connection.execute(text(TURN))
        table = credit_reservations
        added = await self._connection.execute(
            insert(table)
            .values(_columns(tombstone))
            .on_conflict_do_nothing()
            .returning(table.c.order_id)
        )
        if added.one_or_none() is not None:
            return None
        found = await self._connection.execute(
            select(
                table.c.order_id,
                table.c.tenant_id,
                table.c.customer_id,
                table.c.total_cents,
                table.c.state,
                table.c.sequence,
            )
            .where(table.c.order_id == tombstone.order_id)
            .with_for_update()
        )
        row = found.mappings().one()
        return CreditReservation(**{**row, "state": ReservationState(row["state"])})

    async def give_back(self, reservation: CreditReservation) -> None:
        held_in = HELD_IN[reservation.state]
        total = reservation.total_cents
        await self._connection.execute(
            update(customers)
            .where(customers.c.id == reservation.customer_id)
            .values(
                {
                    customers.c.available_cents: customers.c.available_cents + total,
                    held_in: held_in - total,
                }
            )
        )

    async def save(self, reservation: CreditReservation) -> None:
        await self._connection.execute(
            update(credit_reservations)
            .where(credit_reservations.c.order_id == reservation.order_id)
            .values(state=reservation.state.value, sequence=reservation.sequence)
        )

    async def consume(self, order_id: UUID) -> None:
        await self._connection.execute(CONSUME, {"order_id": order_id})

    async def mark_closed(self, order_id: UUID) -> None:
        await self._connection.execute(CLOSE, {"order_id": order_id})

    async def any_open(self, customer_id: UUID) -> bool:
        found = await self._connection.execute(ANY_OPEN, {"customer_id": customer_id})
        return bool(found.scalar_one())


def _columns(reservation: CreditReservation) -> dict[str, Any]:
    return {
        "order_id": reservation.order_id,
        "tenant_id": reservation.tenant_id,
        "customer_id": reservation.customer_id,
        "total_cents": reservation.total_cents,
        "state": reservation.state.value,
        "sequence": reservation.sequence,
    }
