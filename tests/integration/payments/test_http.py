"""Every endpoint and every refusal of payments work on a real database."""

import uuid
from typing import Any

import httpx
import pytest

from libs.kernel.ids import uuid7
from tests.integration.payments.conftest import Payments

UNKNOWN_CODE = "0000-0000-0000-0000"


def refusal(answer: httpx.Response) -> tuple[int, str]:
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    return answer.status_code, answer.json()["type"].rpartition(":")[2]


async def post(payments: Payments, path: str, body: Any, **headers: str) -> httpx.Response:
    return await payments.client.post(path, json=body, headers=payments.operator | headers)


async def get(payments: Payments, path: str) -> httpx.Response:
    return await payments.client.get(path, headers=payments.operator)


async def test_code_of_a_purchase_is_found_by_order_and_by_code(payments: Payments) -> None:
    order_id = await payments.reserved()
    record = await payments.record(order_id)
    by_order = await post(payments, "/payment-codes", {"order_id": str(order_id)})
    by_code = await get(payments, f"/payment-codes/{record['code'].lower().replace('-', '')}")
    assert (by_order.status_code, by_code.status_code) == (200, 200)
    assert by_order.json() == by_code.json()
    assert by_order.json() == {
        "code": record["code"],
        "payment_id": str(record["payment_id"]),
        "order_id": str(order_id),
        "amount_cents": 4_500_000,
        "expires_at": record["expires_at"].isoformat().replace("+00:00", "Z"),
        "state": "PENDING",
        "declines": 0,
        "tries_left": 1,
        "reason": None,
    }


async def test_purchase_without_a_code_has_none_to_give(payments: Payments) -> None:
    cancelled = uuid7()
    await payments.cancelled(cancelled)
    for order_id in (uuid7(), cancelled):
        answer = await post(payments, "/payment-codes", {"order_id": str(order_id)})
        assert refusal(answer) == (404, "payment-code-not-found")
        assert answer.json()["field"] == "order_id"
    assert refusal(await get(payments, f"/payment-codes/{UNKNOWN_CODE}")) == (
        404,
        "payment-code-not-found",
    )


async def test_payment_is_accepted_then_processed(payments: Payments) -> None:
    order_id = await payments.reserved()
    code = await payments.code(order_id)
    accepted = await payments.pay(code)
    body = accepted.json()
    assert accepted.status_code == 202
    assert accepted.headers["location"] == f"/payments/{body['payment_id']}"
    assert (body["order_id"], body["code"], body["amount_cents"]) == (
        str(order_id),
        code,
        4_500_000,
    )
    reading = await get(payments, accepted.headers["location"])
    assert (reading.json()["state"], reading.headers["etag"]) == ("PROCESSING", '"2"')
    await payments.gateway_turn()
    reading = await get(payments, accepted.headers["location"])
    assert (reading.json()["state"], reading.headers["etag"]) == ("PROCESSED", '"2"')
    assert reading.json()["charge_reference"] == f"charge-{body['payment_id']}"


async def test_code_paid_twice_gives_the_first_answer_again(payments: Payments) -> None:
    order_id = await payments.reserved()
    code = await payments.code(order_id)
    first = await payments.pay(code)
    second = await payments.pay(code, "tok_decline")
    await payments.gateway_turn()
    third = await payments.pay(code)
    for again in (second, third):
        assert (again.status_code, again.content) == (202, first.content)
        assert again.headers["location"] == first.headers["location"]
    assert (await payments.record(order_id))["method"] == "tok_approve"
    assert await payments.moved(order_id, "charge") == 1


async def test_paying_with_the_same_key_replays_the_answer(payments: Payments) -> None:
    code = await payments.code(await payments.reserved())
    first = await payments.pay(code, key="k")
    again = await payments.pay(code, key="k")
    other = await payments.pay(code, "tok_decline", key="k")
    assert again.content == first.content
    assert again.headers["idempotency-replayed"] == "true"
    assert refusal(other) == (422, "idempotency-key-reused")


async def test_payment_without_an_idempotency_key_is_refused(payments: Payments) -> None:
    code = await payments.code(await payments.reserved())
    answer = await post(payments, "/payments", {"code": code, "method": "tok_approve"})
    assert answer.status_code == 400
    assert answer.json()["field"] == "Idempotency-Key"


@pytest.mark.parametrize("scanned", [False, True])
async def test_expired_code_cannot_be_paid(payments: Payments, *, scanned: bool) -> None:
    order_id = await payments.reserved()
    await payments.overdue(order_id)
    if scanned:
        await payments.loop("expiry")
    answer = await payments.pay(await payments.code(order_id))
    assert refusal(answer) == (409, "payment-code-expired")
    assert await payments.moved(order_id, "charge") == 0


async def test_voided_code_cannot_be_paid(payments: Payments) -> None:
    order_id = await payments.reserved()
    await payments.cancelled(order_id)
    answer = await payments.pay(await payments.code(order_id))
    assert refusal(answer) == (409, "payment-code-voided")


@pytest.mark.parametrize(
    ("changes", "status", "field"),
    [
        ({"code": UNKNOWN_CODE}, 404, "code"),
        ({"code": "0000-0000-0000-0001"}, 422, "code"),
        ({"code": ""}, 422, "code"),
        ({"code": 5}, 422, "code"),
        ({"method": "4000000000000002"}, 422, "method"),
        ({"method": "tok\x00"}, 422, "method"),
        ({"method": None}, 422, "method"),
        ({"amount_cents": 1}, 422, "amount_cents"),
    ],
)
async def test_bad_payment_is_refused_and_names_the_field(
    payments: Payments, changes: dict[str, Any], status: int, field: str
) -> None:
    order_id = await payments.reserved()
    body = {"code": await payments.code(order_id), "method": "tok_approve"} | changes
    answer = await post(payments, "/payments", body, **{"Idempotency-Key": uuid.uuid4().hex})
    assert answer.status_code == status, answer.text
    assert field in answer.text
    assert "4000000000000002" not in answer.text
    assert await payments.state(order_id) == "PENDING"


async def test_unknown_payment_is_not_found(payments: Payments) -> None:
    unknown = uuid7()
    settlement = {"reference": "r", "note": "n"}
    answers = [
        await get(payments, f"/payments/{unknown}"),
        await post(payments, f"/payments/{unknown}/refund/retry", None),
        await post(payments, f"/payments/{unknown}/refund/settle", settlement),
    ]
    assert {refusal(answer) for answer in answers} == {(404, "payment-not-found")}
    assert (await get(payments, "/payments/not-a-uuid")).status_code == 422


async def test_operator_pages_through_payments_by_state(payments: Payments) -> None:
    orders = [await payments.reserved() for _ in range(5)]
    await payments.cancelled(orders[2])
    seen, path = [], "/payments?state=PENDING&limit=3"
    while path:
        answer = await get(payments, path)
        assert answer.status_code == 200, answer.text
        seen += [item["order_id"] for item in answer.json()["items"]]
        cursor = answer.json()["next"]
        path = f"/payments?state=PENDING&limit=3&cursor={cursor}" if cursor else ""
    assert seen == [str(order_id) for order_id in orders if order_id != orders[2]]
    everything = await get(payments, "/payments")
    assert len(everything.json()["items"]) == 5
    assert (await get(payments, "/payments?state=LOST")).status_code == 422
    assert (await get(payments, "/payments?cursor=forged")).status_code == 400


async def test_failed_refund_is_retried_by_hand_as_a_new_episode(payments: Payments) -> None:
    order_id, payment_id = await payments.refund_failed()
    path = f"/payments/{payment_id}/refund/retry"
    answer = await post(payments, path, None)
    assert (answer.status_code, answer.json()["state"]) == (202, "REFUNDING")
    assert refusal(await post(payments, path, None)) == (409, "refund-not-failed")
    for _ in range(3):
        await payments.gateway_turn()
    assert await payments.state(order_id) == "REFUND_FAILED"
    assert (await payments.client.types(order_id)).count("payment.refund_failed.v1") == 2


async def test_failed_refund_is_settled_by_hand_once(payments: Payments) -> None:
    order_id, payment_id = await payments.refund_failed()
    path, body = f"/payments/{payment_id}/refund/settle", {"reference": "ted-1", "note": "by hand"}
    answer = await post(payments, path, body)
    assert answer.status_code == 200, answer.text
    settled = answer.json()
    assert (settled["state"], settled["refund_reference"]) == ("REFUNDED", "ted-1")
    assert (settled["settled_by"], settled["settlement_note"]) == ("some-operator", "by hand")
    assert refusal(await post(payments, path, body)) == (409, "refund-not-failed")
    await payments.gateway_turn()
    assert (await payments.client.types(order_id))[-1] == "payment.refunded.v1"
    assert (await payments.client.types(order_id)).count("payment.refunded.v1") == 1
    assert await payments.moved(order_id, "refund") == 0


async def test_refund_is_not_settled_while_the_gateway_is_asked(payments: Payments) -> None:
    order_id, payment_id = await payments.refund_failed()
    await payments.client.execute("UPDATE payments SET claim = gen_random_uuid()")
    body = {"reference": "ted-1", "note": "by hand"}
    answer = await post(payments, f"/payments/{payment_id}/refund/settle", body)
    assert refusal(answer) == (409, "refund-in-flight")
    assert await payments.state(order_id) == "REFUND_FAILED"


@pytest.mark.parametrize("action", ["retry", "settle"])
async def test_action_on_an_older_version_is_refused(payments: Payments, action: str) -> None:
    order_id, payment_id = await payments.refund_failed()
    body = {"reference": "r", "note": "n"} if action == "settle" else None
    path = f"/payments/{payment_id}/refund/{action}"
    stale = await post(payments, path, body, **{"If-Match": '"1"'})
    assert refusal(stale) == (412, "stale-version")
    assert await payments.state(order_id) == "REFUND_FAILED"
    fresh = await post(payments, path, body, **{"If-Match": '"2"'})
    assert fresh.is_success, fresh.text
    assert fresh.headers["etag"] == '"3"'


@pytest.mark.parametrize("action", ["retry", "settle"])
async def test_paid_purchase_has_no_refund_to_act_on(payments: Payments, action: str) -> None:
    order_id = await payments.reserved()
    payment_id = await payments.paid(order_id)
    await payments.gateway_turn()
    body = {"reference": "r", "note": "n"} if action == "settle" else None
    answer = await post(payments, f"/payments/{payment_id}/refund/{action}", body)
    assert refusal(answer) == (409, "refund-not-failed")
    assert await payments.state(order_id) == "PROCESSED"
