"""Each role may do only what the access rules allow; the payment of another customer
or tenant does not exist.
"""

import uuid

import httpx
import pytest

from libs.kernel.ids import uuid7
from tests.integration.payments.conftest import Payments

CALLS = {
    "request code": ("POST", "/payment-codes"),
    "read code": ("GET", "/payment-codes/{code}"),
    "pay": ("POST", "/payments"),
    "read": ("GET", "/payments/{id}"),
    "list": ("GET", "/payments"),
    "retry": ("POST", "/payments/{id}/refund/retry"),
    "settle": ("POST", "/payments/{id}/refund/settle"),
}
BUYERS = {"request code", "read code", "pay", "read"}
MAY = {
    "buyer": BUYERS,
    "operator": set(CALLS),
    "seller": set(),
    "admin": {"read code"},
    "nobody": set(),
}


async def call(payments: Payments, name: str, headers: dict[str, str]) -> httpx.Response:
    """Make the call on a purchase of the test's own customer, in a state that allows it."""
    if name in {"retry", "settle"}:
        order_id, _ = await payments.refund_failed()
    else:
        order_id = await payments.reserved()
    record = await payments.record(order_id)
    method, path = CALLS[name]
    return await payments.client.request(
        method,
        path.format(id=record["payment_id"], code=record["code"]),
        json={
            "request code": {"order_id": str(order_id)},
            "pay": {"code": record["code"], "method": "tok_approve"},
            "settle": {"reference": "r", "note": "n"},
        }.get(name),
        headers=headers | {"Idempotency-Key": uuid.uuid4().hex},
    )


@pytest.mark.parametrize("role", MAY)
@pytest.mark.parametrize("name", CALLS)
async def test_each_role_may_do_what_its_row_says(payments: Payments, role: str, name: str) -> None:
    answer = await call(payments, name, payments.caller(role, customer_id=payments.customer_id))
    assert (answer.status_code != 403) == (name in MAY[role]), answer.text
    assert answer.is_success == (name in MAY[role]), answer.text


@pytest.mark.parametrize("customer_id", [None, uuid7()])
@pytest.mark.parametrize("name", sorted(BUYERS))
async def test_payment_of_another_customer_does_not_exist(
    payments: Payments, name: str, customer_id: uuid.UUID | None
) -> None:
    answer = await call(payments, name, payments.caller("buyer", customer_id=customer_id))
    assert answer.status_code == 404, answer.text


@pytest.mark.parametrize("name", sorted(set(CALLS) - {"list"}))
async def test_payment_of_another_tenant_does_not_exist(payments: Payments, name: str) -> None:
    answer = await call(payments, name, payments.caller("operator", tenant="another"))
    assert answer.status_code == 404, answer.text


async def test_payments_of_another_tenant_are_not_listed(payments: Payments) -> None:
    answer = await call(payments, "list", payments.caller("operator", tenant="another"))
    assert answer.json()["items"] == []


async def test_buyer_does_not_see_the_tombstone_of_an_unknown_customer(payments: Payments) -> None:
    order_id = uuid7()
    await payments.cancelled(order_id)
    record = await payments.record(order_id)
    path = f"/payments/{record['payment_id']}"
    assert (await payments.client.get(path, headers=payments.buyer)).status_code == 404
    assert (await payments.client.get(path, headers=payments.operator)).status_code == 200
