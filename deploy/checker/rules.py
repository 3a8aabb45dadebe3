"""The rules that hold for each purchase at rest, in whichever service it is known.

Each returns one sentence for each violation.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TypeAlias

from deploy.checker.sellers import sellers_are_paid
from deploy.checker.snapshot import Purchase, Row

Rule: TypeAlias = Callable[[Purchase], Iterator[str]]

HOLDS_CREDIT = frozenset({"RESERVED", "CONSUMED"})
HOLDS_VEHICLE = frozenset({"RESERVED", "SOLD"})
MONEY_OPEN = frozenset({"PENDING", "PROCESSING", "PROCESSED", "REFUNDING"})

SUCCEEDED = frozenset({"COMPLETED", "CLOSED"})
GIVEN_BACK = frozenset({"FAILED", "CANCELLED"})
ENDED = SUCCEEDED | GIVEN_BACK
MAY_HOLD_A_SALE = SUCCEEDED | {"COMPENSATING"}
"""During a compensation a purchase may still hold what was sold and paid. No purchase may rest
there.
"""
GATEWAY_MAY_DIFFER = frozenset({"PROCESSING", "REFUND_FAILED"})
"""States in which the gateway's books may differ: a charge without an answer yet, a refund that
failed.
"""

CREDIT = "credit adds up for every customer"
VEHICLE = "a vehicle is held or sold once"


def credit_is_consumed_by_what_succeeded(it: Purchase) -> Iterator[str]:
    yield from _held_of_nobody(it, it.credit, HOLDS_CREDIT, "customer")
    yield from _success_has(it, it.credit, "credit", "CONSUMED")


def vehicle_is_sold_to_what_succeeded(it: Purchase) -> Iterator[str]:
    if _state(it.reservation) == "SOLD" and it.state not in MAY_HOLD_A_SALE:
        yield f"order {it.order_id}: its vehicle is sold, but it is {it.state}"
    yield from _held_of_nobody(it, it.reservation, HOLDS_VEHICLE, "vehicle")
    yield from _success_has(it, it.reservation, "vehicle", "SOLD")


def nothing_is_held(it: Purchase) -> Iterator[str]:
    if it.state not in GIVEN_BACK:
        return
    held = (
        (it.credit, "credit", HOLDS_CREDIT),
        (it.reservation, "vehicle", HOLDS_VEHICLE),
        (it.payment, "payment", MONEY_OPEN),
    )
    for record, what, states in held:
        if _state(record) in states and not (what == "payment" and charged_after_all(it)):
            yield f"order {it.order_id} is {it.state}, its {what} is {_state(record)}"


def money_is_right(it: Purchase) -> Iterator[str]:
    charges, refunds = _times_moved(it.payment)
    paid = _state(it.payment)
    if paid == "PROCESSED" and it.state not in MAY_HOLD_A_SALE:
        yield f"order {it.order_id}: its payment is kept, but it is {it.state}"
    for what, times in (("charged", charges), ("refunded", refunds)):
        if times > 1:
            yield f"order {it.order_id}: {what} {times} times"
    kept = charges - refunds
    told = it.payment is not None and paid not in GATEWAY_MAY_DIFFER and not charged_after_all(it)
    if told and kept != (it.state in SUCCEEDED):
        yield f"order {it.order_id} is {it.state}, but {kept} of its charges are kept"
    yield from _amounts_are_right(it)
    yield from _success_has(it, it.payment, "payment", "PROCESSED")


def nothing_rests(it: Purchase) -> Iterator[str]:
    if it.order is None or it.state in ENDED:
        return
    at_rest = (it.state == "AWAITING_PAYMENT" and not it.order["overdue"]) or (
        it.state == "COMPENSATING" and (refund_failed(it) or charge_unanswered(it))
    )
    if not at_rest:
        yield f"order {it.order_id} rests in {it.state}"


def one_purchase_of_one_tenant(it: Purchase) -> Iterator[str]:
    known_to = (
        ("customers", it.credit),
        ("vehicles", it.reservation),
        ("payments", it.payment),
        ("payouts", it.payout),
    )
    for service, record in known_to:
        if record is None or record["state"] is None:
            continue
        if it.order is None:
            yield f"order {it.order_id}: known to {service}, but no purchase in orders"
        elif record["tenant_id"] != it.order["tenant_id"]:
            yield f"order {it.order_id}: another tenant in {service}"


RULES: Mapping[str, Rule] = {
    CREDIT: credit_is_consumed_by_what_succeeded,
    VEHICLE: vehicle_is_sold_to_what_succeeded,
    "what failed or was cancelled holds nothing": nothing_is_held,
    "money is kept once or given back once": money_is_right,
    "every seller is paid once": sellers_are_paid,
    "no purchase rests half-way": nothing_rests,
    "every record belongs to a purchase of its tenant": one_purchase_of_one_tenant,
}


def refund_failed(it: Purchase) -> bool:
    return _state(it.payment) == "REFUND_FAILED"


def charge_unanswered(it: Purchase) -> bool:
    """A person is asked for the result at the gateway, and can record it."""
    return (
        it.payment is not None
        and it.payment["state"] == "PROCESSING"
        and it.payment["needs_attention"]
    )


def charged_after_all(it: Purchase) -> bool:
    """The gateway has made a charge that a person recorded as not made, so it is being refunded."""
    return (
        it.payment is not None
        and it.payment["state"] == "REFUNDING"
        and it.payment["charge_settled"]
    )


def _state(record: Row | None) -> str | None:
    return None if record is None else record["state"]


def _times_moved(payment: Row | None) -> tuple[int, int]:
    """How often the gateway charged it, and how often it was refunded: by the gateway, or by a
    person who recorded it as settled.
    """
    if payment is None:
        return 0, 0
    return payment["charges"], payment["refunds"] + bool(payment["settled"])


def _amounts_are_right(it: Purchase) -> Iterator[str]:
    if it.payment is None or it.order is None:
        return
    total = it.order["total_cents"]
    amounts: Sequence[tuple[str, str, str]] = (
        ("charge", "charged", "most_charged"),
        ("refund", "refunded", "most_refunded"),
    )
    for kind, least, most in amounts:
        if it.payment[least] is None:
            continue
        if it.payment[least] != total or it.payment[most] != total:
            yield f"order {it.order_id}: {kind} of another amount"


def _held_of_nobody(
    it: Purchase, record: Row | None, states: frozenset[str], owner: str
) -> Iterator[str]:
    if record is not None and record["state"] in states and not record["known"]:
        yield f"order {it.order_id}: there is no {owner} {record[f'{owner}_id']}"


def _success_has(it: Purchase, record: Row | None, what: str, state: str) -> Iterator[str]:
    if it.state in SUCCEEDED and _state(record) != state:
        yield f"order {it.order_id} is {it.state}, its {what} is {_state(record) or 'missing'}"
