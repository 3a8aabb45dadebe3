"""These rules hold for each purchase at rest, in whichever service it is known: those of each
service's own records, and those of several.
"""

from collections.abc import Iterator, Mapping

from deploy.checker.purchase import GIVEN_BACK, Purchase, Rule, state_of
from deploy.checker.records import STATEMENTS, rules_of
from deploy.checker.records.customers import HOLDS_CREDIT
from deploy.checker.records.payments import MONEY_OPEN, charged_after_all
from deploy.checker.records.vehicles import HOLDS_VEHICLE


def nothing_is_held(it: Purchase) -> Iterator[str]:
    if it.state not in GIVEN_BACK:
        return
    held = (
        (it.credit, "credit", HOLDS_CREDIT),
        (it.reservation, "vehicle", HOLDS_VEHICLE),
        (it.payment, "payment", MONEY_OPEN),
    )
    for record, what, states in held:
        if state_of(record) in states and not (what == "payment" and charged_after_all(it)):
            yield f"order {it.order_id} is {it.state}, its {what} is {state_of(record)}"


def one_purchase_of_one_tenant(it: Purchase) -> Iterator[str]:
    for service, record in it.records.items():
        if record is None or record["state"] is None:
            continue
        if it.order is None:
            yield f"order {it.order_id}: known to {service}, but no purchase in orders"
        elif record["tenant_id"] != it.order["tenant_id"]:
            yield f"order {it.order_id}: another tenant in {service}"


RULES: Mapping[str, Rule] = {
    **{rule: offences for service in STATEMENTS for rule, offences in rules_of(service).items()},
    "what failed or was cancelled holds nothing": nothing_is_held,
    "every record belongs to a purchase of its tenant": one_purchase_of_one_tenant,
}
