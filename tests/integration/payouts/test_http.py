"""Every endpoint and every refusal of payouts work on a real database."""

from typing import Any

import httpx
import pytest

from libs.kernel.ids import uuid7
from tests.integration.payouts.conftest import REFUSED_FOR_GOOD, REFUSED_THRICE, Payouts


def refusal(answer: httpx.Response) -> tuple[int, str]:
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    return answer.status_code, answer.json()["type"].rpartition(":")[2]


async def get(payouts: Payouts, path: str) -> httpx.Response:
    return await payouts.client.get(path, headers=payouts.operator)


async def retry(payouts: Payouts, external_id: str, **headers: str) -> httpx.Response:
    path = f"/payouts/{external_id}/retry"
    return await payouts.client.post(path, headers=payouts.operator | headers)


async def test_payout_is_accepted_then_paid(payouts: Payouts) -> None:
    seller_id = uuid7()
    accepted = await payouts.request("bonus-1", 1_000, seller_id)
    body = accepted.json()
    assert accepted.status_code == 201
    assert accepted.headers["location"] == "/payouts/bonus-1"
    assert body == {
        "payout_id": body["payout_id"],
        "external_id": "bonus-1",
        "status": "PENDING",
        "amount_cents": 1_000,
        "seller_id": str(seller_id),
        "order_id": None,
        "bank_reference": None,
        "reason": None,
        "settled_by": None,
        "settlement_note": None,
        "needs_attention": False,
        "attempts": 0,
    }
    await payouts.bank_turn()
    reading = await get(payouts, accepted.headers["location"])
    assert reading.headers["etag"] == accepted.headers["etag"] == '"1"'
    assert reading.json() == body | {
        "status": "PAID",
        "bank_reference": f"payout-{body['payout_id']}",
        "attempts": 1,
    }
    assert await payouts.client.types(body["payout_id"]) == ["payout.completed.v1"]


async def test_payout_of_a_closed_order_is_read_by_the_orders_id(payouts: Payouts) -> None:
    order_id = await payouts.closed()
    answer = await get(payouts, f"/payouts/order:{order_id}")
    assert (answer.json()["order_id"], answer.json()["status"]) == (str(order_id), "PENDING")


@pytest.mark.parametrize(
    "external_id",
    ["order:019a0000-0000-7000-8000-000000000001", "order:", "order:bonus"],
)
async def test_id_of_an_order_is_refused_and_leaves_the_order_to_be_paid(
    payouts: Payouts, external_id: str
) -> None:
    answer = await payouts.request(external_id)
    (error,) = answer.json()["errors"]
    assert (answer.status_code, error["code"]) == (422, "external-id-reserved")
    assert (error["field"], error["params"]) == ("external_id", {"prefix": "order:"})
    assert await payouts.client.rows("SELECT 1 FROM payouts") == []


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"external_id": ""}, "external_id"),
        ({"external_id": "a/b"}, "external_id"),
        ({"external_id": "a b"}, "external_id"),
        ({"external_id": "a\n"}, "external_id"),
        ({"external_id": "a" * 101}, "external_id"),
        ({"external_id": 5}, "external_id"),
        ({"amount_cents": 0}, "amount_cents"),
        ({"amount_cents": -1}, "amount_cents"),
        ({"amount_cents": 1.5}, "amount_cents"),
        ({"amount_cents": "1000"}, "amount_cents"),
        ({"amount_cents": 10**13}, "amount_cents"),
        ({"amount_cents": True}, "amount_cents"),
        ({"amount_cents": None}, "amount_cents"),
        ({"seller_id": "ana"}, "seller_id"),
        ({"order_id": str(uuid7())}, "order_id"),
        ({"status": "PAID"}, "status"),
    ],
)
async def test_bad_request_is_refused_and_names_the_field(
    payouts: Payouts, changes: dict[str, Any], field: str
) -> None:
    body = {"external_id": "bonus-1", "amount_cents": 1_000} | changes
    answer = await payouts.client.post("/payouts", json=body, headers=payouts.admin)
    assert answer.status_code == 422, answer.text
    assert field in answer.text
    assert await payouts.client.rows("SELECT 1 FROM payouts") == []


async def test_unknown_payout_is_not_found(payouts: Payouts) -> None:
    answers = [await get(payouts, "/payouts/nothing"), await retry(payouts, "nothing")]
    assert [refusal(answer) for answer in answers] == [(404, "payout-not-found")] * 2
    assert (await get(payouts, "/payouts/%00")).status_code == 422


async def test_operator_pages_through_payouts_newest_first_by_status(payouts: Payouts) -> None:
    for number in range(5):
        await payouts.request(
            f"bonus-{number}", seller_id=REFUSED_FOR_GOOD if number == 2 else None
        )
    await payouts.bank_turn()
    seen, path = [], "/payouts?status=PAID&limit=3"
    while path:
        answer = await get(payouts, path)
        assert answer.status_code == 200, answer.text
        seen += [item["external_id"] for item in answer.json()["items"]]
        cursor = answer.json()["next"]
        path = f"/payouts?status=PAID&limit=3&cursor={cursor}" if cursor else ""
    assert seen == ["bonus-4", "bonus-3", "bonus-1", "bonus-0"]
    assert len((await get(payouts, "/payouts")).json()["items"]) == 5
    assert (await get(payouts, "/payouts?status=LOST")).status_code == 422
    assert (await get(payouts, "/payouts?cursor=forged")).status_code == 400


async def test_failed_payout_is_retried_by_hand_as_a_new_episode(payouts: Payouts) -> None:
    order_id = await payouts.closed(seller_id=REFUSED_THRICE)
    await payouts.bank_turn(3)
    answer = await retry(payouts, f"order:{order_id}")
    assert (answer.status_code, answer.json()["status"]) == (202, "PENDING")
    assert (answer.json()["attempts"], answer.json()["reason"]) == (0, None)
    await payouts.bank_turn()
    assert await payouts.status(order_id) == "PAID"
    told = await payouts.client.told(order_id)
    assert [(event["type"], int(event["sequence"])) for event in told] == [
        ("payout.failed.v1", 1),
        ("payout.completed.v1", 2),
    ]
    assert await payouts.transfers() == [(True, 4)]


async def test_payout_that_fails_again_after_a_retry_publishes_its_failure_again(
    payouts: Payouts,
) -> None:
    order_id = await payouts.closed(seller_id=REFUSED_FOR_GOOD)
    for _ in range(2):
        await payouts.bank_turn()
        assert (await retry(payouts, f"order:{order_id}")).status_code == 202
    assert await payouts.client.types(order_id) == ["payout.failed.v1"] * 2


@pytest.mark.parametrize("turns", [0, 1], ids=["pending", "paid"])
async def test_payout_that_has_not_failed_is_not_retried(payouts: Payouts, turns: int) -> None:
    await payouts.request("bonus-1")
    await payouts.bank_turn(turns)
    assert refusal(await retry(payouts, "bonus-1")) == (409, "payout-not-failed")
    await payouts.bank_turn()
    assert await payouts.transfers() == [(True, 1)]


async def test_retry_on_an_older_version_is_refused(payouts: Payouts) -> None:
    order_id = await payouts.closed(seller_id=REFUSED_FOR_GOOD)
    await payouts.bank_turn()
    external_id = f"order:{order_id}"
    fresh = await retry(payouts, external_id, **{"If-Match": '"1"'})
    assert (fresh.status_code, fresh.headers["etag"]) == (202, '"2"')
    await payouts.bank_turn()
    stale = await retry(payouts, external_id, **{"If-Match": '"1"'})
    assert refusal(stale) == (412, "stale-version")
    assert await payouts.status(order_id) == "FAILED"
