"""This module reads the vehicle that each purchase holds."""

from collections.abc import Iterator

from deploy.checker.purchase import (
    MAY_HOLD_A_SALE,
    Purchase,
    held_of_nobody,
    state_of,
    success_has,
)

STATEMENT = """
    SELECT r.order_id, r.tenant_id, r.state, v.id IS NOT NULL AS known, v.seller_id,
           CASE WHEN v.id IS NULL THEN r.vehicle_id END AS vehicle_id
      FROM reservations r LEFT JOIN vehicles v ON v.id = r.vehicle_id
     ORDER BY r.order_id"""

VEHICLE = "a vehicle is held or sold once"
HOLDS_VEHICLE = frozenset({"RESERVED", "SOLD"})


def vehicle_is_sold_to_what_succeeded(it: Purchase) -> Iterator[str]:
    if state_of(it.reservation) == "SOLD" and it.state not in MAY_HOLD_A_SALE:
        yield f"order {it.order_id}: its vehicle is sold, but it is {it.state}"
    yield from held_of_nobody(it, it.reservation, HOLDS_VEHICLE, "vehicle")
    yield from success_has(it, it.reservation, "vehicle", "SOLD")


RULES = {VEHICLE: vehicle_is_sold_to_what_succeeded}
