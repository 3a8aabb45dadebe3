"""Events, states and reasons on the wire have these names for people."""

from typing import Literal

from services.portal.infrastructure.language.i18n import marked
from services.portal.infrastructure.peers.client import PeerRefusal

EVENTS = {
    "order.confirmed": marked("Order confirmed"),
    "order.completed": marked("Purchase complete"),
    "order.closed": marked("Picked up"),
    "order.cancellation_requested": marked("Buyer gave up"),
    "order.failed": marked("Purchase failed"),
    "order.cancelled": marked("Purchase cancelled"),
    "credit.reserved": marked("Credit reserved"),
    "credit.reservation_failed": marked("Credit refused"),
    "credit.released": marked("Credit released"),
    "vehicle.reserved": marked("Vehicle reserved"),
    "vehicle.reservation_failed": marked("Vehicle not available"),
    "vehicle.sold": marked("Vehicle sold"),
    "vehicle.sale_failed": marked("Sale failed"),
    "vehicle.released": marked("Vehicle released"),
    "payment.code_generated": marked("Payment code issued"),
    "payment.code_generation_failed": marked("No payment code"),
    "payment.processed": marked("Paid"),
    "payment.failed": marked("Payment declined"),
    "payment.charge_unanswered": marked("Payment provider silent"),
    "payment.expired": marked("Payment code expired"),
    "payment.voided": marked("Payment code voided"),
    "payment.refunded": marked("Refunded"),
    "payment.refund_failed": marked("Refund failed"),
    "payout.completed": marked("Seller paid"),
    "payout.unanswered": marked("Bank silent"),
    "payout.failed": marked("Payout failed"),
}

STATES = {
    "REQUESTED": marked("Checking your credit"),
    "CREDIT_RESERVED": marked("Reserving the vehicle"),
    "VEHICLE_RESERVED": marked("Issuing the payment code"),
    "AWAITING_PAYMENT": marked("Awaiting payment"),
    "PAID": marked("Finishing the sale"),
    "COMPLETED": marked("Ready for pick-up"),
    "CLOSED": marked("Picked up"),
    "COMPENSATING": marked("Being undone"),
    "FAILED": marked("Failed"),
    "CANCELLED": marked("Cancelled"),
    "OPEN": marked("Under way"),
    "GIVEN_UP": marked("Being undone"),
}

STAFF_STATES = {
    "REQUESTED": marked("Credit check"),
    "CREDIT_RESERVED": marked("Vehicle reservation"),
    "VEHICLE_RESERVED": marked("Payment code"),
    "AWAITING_PAYMENT": marked("Payment"),
    "PAID": marked("Sale"),
    "COMPLETED": marked("Pick-up"),
    "CLOSED": marked("Picked up"),
    "COMPENSATING": marked("Being undone"),
    "FAILED": marked("Failed"),
    "CANCELLED": marked("Cancelled"),
}
"""The staff sees this name of a purchase's state: the next step, or how the purchase ended."""

WAITS_FOR = {
    "REQUESTED": marked("Waiting for the buyer's credit to be checked and reserved."),
    "CREDIT_RESERVED": marked("Waiting for the vehicle to be reserved."),
    "VEHICLE_RESERVED": marked("Waiting for the payment code to be issued."),
    "AWAITING_PAYMENT": marked("Waiting for the buyer to pay."),
    "PAID": marked("Paid. Waiting for the sale to be completed."),
    "COMPLETED": marked("Sold. Waiting for the buyer to pick the vehicle up."),
    "CLOSED": marked("Picked up. Waiting for the seller to be paid."),
    "COMPENSATING": marked("Waiting for everything it held to be given back."),
}
CHARGED = marked("Waiting for the bank to answer the charge.")
ENDED = {
    "CLOSED": marked("It has ended: picked up, and the seller is paid."),
    "FAILED": marked("It has ended: everything it held was given back."),
    "CANCELLED": marked("It has ended: everything it held was given back."),
}

TONES: dict[str, Literal["go", "wait", "back"]] = {
    "COMPLETED": "go",
    "CLOSED": "go",
    "COMPENSATING": "back",
    "GIVEN_UP": "back",
    "FAILED": "back",
    "CANCELLED": "back",
}

REASONS = {
    "card_declined": marked("The card was declined."),
    "insufficient_funds": marked("The card has insufficient funds."),
    "not_charged": marked("The payment provider did not charge the card."),
    "unknown_token": marked("The payment provider does not know this means of payment."),
    "credit_too_low": marked("Your credit limit does not cover the price."),
    "unknown_customer": marked("There is no such customer."),
    "customer_erased": marked("The customer was erased."),
    "vehicle_not_found": marked("There is no such vehicle."),
    "vehicle_not_for_sale": marked("The vehicle is not for sale any more."),
    "price_changed": marked("The price changed in the meantime."),
    "vehicle_withdrawn": marked("The vehicle was withdrawn from sale."),
    "payment_expired": marked("The payment code expired before it was paid."),
    "amount_not_payable": marked("The amount cannot be paid."),
    "cancelled_by_buyer": marked("You gave up."),
    "deadline_passed": marked("It took too long."),
    "purchase_lost": marked("The purchase was lost when a server failed, and was given back."),
}

GAVE_UP = marked("The buyer gave up.")

PAYMENT_METHODS = (
    ("tok_approve", marked("Card"), marked("The bank approves.")),
    ("tok_timeout", marked("Card of a slow bank"), marked("The bank answers at the second try.")),
    ("tok_decline", marked("Card that is declined"), marked("The bank says no.")),
    (
        "tok_refund_refused_once",
        marked("Card whose refund fails at first"),
        marked("Approved; should you give up, the refund works at the second try."),
    ),
)
"""The sandbox of the payment provider knows these tokens, each with a name and what happens."""

DOWN = {
    "orders": marked("The service orders is not answering just now. Nothing is lost: try again."),
    "customers": marked(
        "The service customers is not answering just now. Nothing is lost: try again."
    ),
    "vehicles": marked(
        "The service vehicles is not answering just now. Nothing is lost: try again."
    ),
    "payments": marked(
        "The service payments is not answering just now. Nothing is lost: try again."
    ),
}


PRECONDITION_FAILED = 412

SERVICES = {
    "orders": marked("Orders"),
    "customers": marked("Customers"),
    "vehicles": marked("Vehicles"),
    "payments": marked("Payments"),
    "payouts": marked("Payouts"),
    "kpis": marked("KPIs"),
    "portal": marked("Portal"),
}

ROLES = {
    "buyer": marked("Buyer"),
    "seller": marked("Seller"),
    "operator": marked("Operator"),
    "admin": marked("Administrator"),
}


def role_name(role: str) -> str:
    return ROLES.get(role, role)


def service_name(service: str) -> str:
    return SERVICES.get(service, service)


def down_message(service: str) -> str:
    return DOWN.get(service, f"The service {service} is not answering just now.")


def refusal_message(refusal: PeerRefusal) -> str:
    """Return the message of the first refusal."""
    return next(iter(refusal.fields.values()))


def staff_state(state: str) -> str:
    return STAFF_STATES.get(state, state)


def waits_for(state: str, *, is_paying: bool, is_finished: bool) -> str:
    """Return a sentence on what an open purchase waits for, or on how an ended one ended."""
    if is_finished and state in ENDED:
        return ENDED[state]
    return CHARGED if is_paying else WAITS_FOR.get(state, "")


def event_name(event_type: str) -> str:
    """Return `Paid` for `payment.processed.v1`. An unknown event keeps its name."""
    name = event_type.rpartition(".v")[0] or event_type
    return EVENTS.get(name, name.replace("_", " "))


def state_name(state: str) -> str:
    return STATES.get(state, state)


def state_tone(state: str) -> str:
    """Return the meaning of the state's colour. A state that is under way counts as waiting."""
    return TONES.get(state, "wait")


def reason(code: str | None, *, of_another: bool = False) -> str:
    """Return a sentence for the reason. An unknown one is shown as it came. With `of_another` the
    reader sees somebody else's purchase.
    """
    if of_another and code == "cancelled_by_buyer":
        return GAVE_UP
    return REASONS.get(code, code) if code else ""


NAMES = (event_name, state_name, staff_state, service_name, role_name)
"""Each of these is a filter of the templates: people read a value by it, translated."""
