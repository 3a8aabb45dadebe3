"""Credit reservations are stored in Postgres. Each statement does as much as it can, because it
runs at least once for each purchase.
"""

from typing import Any
from uuid import UUID

from sqlalchemy import select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from services.customers.application.ports import Hold
from services.customers.domain.credit_reservation import (
    CreditReservation,
    Refusal,
    ReservationState,
)
from services.customers.infrastructure.tables import credit_reservations, customers

# Several reactions share a transaction, each on another purchase and customer. Two transactions
# that lock the same rows in different orders would deadlock, so they take turns.
TURN = "SELECT pg_advisory_xact_lock(hashtext('credit'))"

ADD_RECORD = """
    INSERT INTO credit_reservations
        (order_id, tenant_id, customer_id, total_cents, state, sequence)
    SELECT CAST(:order_id AS uuid), CAST(:tenant_id AS text), CAST(:customer_id AS uuid),
        CAST(:total_cents AS bigint), CAST(:state AS text), CAST(:sequence AS integer)
    FROM turn
    ON CONFLICT (order_id) DO NOTHING
    RETURNING customer_id, tenant_id, total_cents
"""

# The record is inserted first; the customer is updated only with a new record. Postgres reads the
# row's conditions again after waiting for its lock, so that concurrent purchases never take more
# than there is.
RESERVE = text(
    f"""
    WITH turn AS MATERIALIZED ({TURN}),
    record AS ({ADD_RECORD}),
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
    """  # noqa: S608 - constants
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
    """  # noqa: S608 - constants
)

CLOSE = text(
    f"""
    WITH turn AS MATERIALIZED ({TURN})
    UPDATE credit_reservations SET order_closed = true
    FROM turn WHERE order_id = CAST(:order_id AS uuid)
    """  # noqa: S608 - constants
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

ADD = text(f"WITH turn AS MATERIALIZED ({TURN}) {ADD_RECORD}")

LOCK = text(
    """
    SELECT order_id, tenant_id, customer_id, total_cents AS price_cents, state, sequence
    FROM credit_reservations WHERE order_id = CAST(:order_id AS uuid) FOR UPDATE
    """
)

GIVE_BACK = {
    held_as: text(
        f"""
        WITH record AS (
            UPDATE credit_reservations
            SET state = CAST(:state AS text), sequence = CAST(:sequence AS integer)
            WHERE order_id = CAST(:order_id AS uuid)
            RETURNING customer_id, total_cents
        )
        UPDATE customers
        SET available_cents = available_cents + record.total_cents,
            {column} = {column} - record.total_cents
        FROM record WHERE customers.id = record.customer_id
        """  # noqa: S608 - the names of two columns
    )
    for held_as, column in {
        ReservationState.RESERVED: "reserved_cents",
        ReservationState.CONSUMED: "consumed_cents",
    }.items()
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
        added = await self._connection.execute(ADD, _columns(tombstone))
        if added.one_or_none() is not None:
            return None
        found = await self._connection.execute(LOCK, {"order_id": tombstone.order_id})
        row = found.mappings().one()
        return CreditReservation(**{**row, "state": ReservationState(row["state"])})

    async def give_back(self, reservation: CreditReservation, held_as: ReservationState) -> None:
        await self._connection.execute(GIVE_BACK[held_as], _columns(reservation))

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
        "total_cents": reservation.price_cents,
        "state": reservation.state.value,
        "sequence": reservation.sequence,
    }
