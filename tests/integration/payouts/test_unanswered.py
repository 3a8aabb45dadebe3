"""When the bank leaves a payout unanswered, a person is asked in time and can settle it."""

from typing import Any
from uuid import UUID

import httpx
import pytest
from prometheus_client import REGISTRY

from services.payouts.application.record_answer import record_answer
from services.payouts.domain.bank import Answer, BankPolicy, Paid
from services.payouts.infrastructure.settings import PayoutsSettings
from tests.integration.payouts.conftest import SILENT, Payouts

UNANSWERED = "payout.unanswered.v1"
PAID = {"outcome": "paid", "reference": "ted-7", "note": "the bank's desk says so"}
NOT_PAID = {"outcome": "not_paid", "note": "the bank's desk says so"}

pytestmark = pytest.mark.usefixtures("silence_at_once")


async def silent(payouts: Payouts, calls: int) -> UUID:
    order_id = await payouts.closed(seller_id=SILENT)
    await payouts.bank_turn(calls)
    return order_id


async def settle(
    payouts: Payouts, order_id: UUID, body: dict[str, Any], **headers: str
) -> httpx.Response:
    path = f"/payouts/order:{order_id}/settle"
    return await payouts.client.post(path, json=body, headers=payouts.operator | headers)


async def in_need(payouts: Payouts) -> list[str]:
    found = await payouts.client.get("/payouts?needs_attention=true", headers=payouts.operator)
    return [item["order_id"] for item in found.json()["items"]]


async def answers_late(payouts: Payouts, order_id: UUID, answer: Answer) -> None:
    """Record the answer of a worker that stopped for longer than its lease."""
    policy: BankPolicy = PayoutsSettings.model_construct().bank_terms.policy
    payout_id = (await payouts.record(order_id))["payout_id"]
    await payouts.client.service.transactions.run(
        lambda uow: record_answer(
            uow, payout_id=payout_id, answer=answer, claim=UUID(int=1), policy=policy
        )
    )


async def test_a_payout_left_unanswered_asks_for_a_person_once_and_in_time(
    payouts: Payouts,
) -> None:
    order_id = await silent(payouts, calls=4)
    assert await payouts.client.types(order_id) == []
    assert (await settle(payouts, order_id, NOT_PAID)).status_code == 409
    await payouts.bank_turn(3)
    assert await payouts.client.types(order_id) == [UNANSWERED]
    assert await in_need(payouts) == [str(order_id)]
    record = await payouts.record(order_id)
    assert (record["status"], record["attempts"]) == ("PENDING", 7), "it is asked on"


async def test_a_call_that_needs_a_person_is_counted_until_it_is_settled(
    payouts: Payouts,
) -> None:
    counting = next(loop for loop in payouts.client.service.loops if loop.name == "attention")

    async def counted() -> float | None:
        await counting.work()
        return REGISTRY.get_sample_value("needs_attention", {"service": "payouts"})

    before = await counted()
    assert before is not None
    order_id = await silent(payouts, calls=5)
    assert await counted() == before + 1
    assert (await settle(payouts, order_id, PAID)).status_code == 200
    assert await counted() == before


async def test_a_payout_settled_as_paid_is_completed_and_not_repeated(payouts: Payouts) -> None:
    order_id = await silent(payouts, calls=5)
    settled = (await settle(payouts, order_id, PAID)).json()
    assert (settled["status"], settled["bank_reference"]) == ("PAID", "ted-7")
    assert (settled["settled_by"], settled["settlement_note"]) == (
        "some-operator",
        "the bank's desk says so",
    )
    assert await payouts.client.types(order_id) == [UNANSWERED, "payout.completed.v1"]
    await payouts.bank_turn()
    assert (await payouts.record(order_id))["attempts"] == 5
    assert await in_need(payouts) == []
    await answers_late(payouts, order_id, Paid("bank-late"))
    assert (await payouts.record(order_id))["bank_reference"] == "bank-late"
    assert await payouts.client.types(order_id) == [UNANSWERED, "payout.completed.v1"]


async def test_a_payout_settled_as_not_paid_has_failed_and_may_be_retried(payouts: Payouts) -> None:
    order_id = await silent(payouts, calls=5)
    settled = (await settle(payouts, order_id, NOT_PAID)).json()
    assert (settled["status"], settled["reason"]) == ("FAILED", "not_paid")
    assert settled["needs_attention"]
    again = await payouts.client.post(f"/payouts/order:{order_id}/retry", headers=payouts.operator)
    assert (again.json()["status"], again.json()["needs_attention"]) == ("PENDING", False)
    assert (await settle(payouts, order_id, NOT_PAID)).status_code == 409
    await payouts.bank_turn(5)
    assert await payouts.client.types(order_id) == [UNANSWERED, "payout.failed.v1", UNANSWERED]


async def test_money_paid_after_all_for_what_was_settled_as_not_paid_is_completed(
    payouts: Payouts,
) -> None:
    order_id = await silent(payouts, calls=5)
    await settle(payouts, order_id, NOT_PAID)
    await answers_late(payouts, order_id, Paid("bank-late"))
    assert await payouts.status(order_id) == "PAID"
    assert (await payouts.client.types(order_id))[-1] == "payout.completed.v1"


async def test_a_payout_is_not_settled_while_the_bank_is_asked(payouts: Payouts) -> None:
    order_id = await silent(payouts, calls=5)
    await payouts.client.execute("UPDATE payouts SET claim = gen_random_uuid()")
    answer = await settle(payouts, order_id, NOT_PAID)
    assert answer.status_code == 409
    assert answer.json()["type"].endswith(":payout-in-flight")


async def test_a_settlement_says_what_it_is_about(payouts: Payouts) -> None:
    order_id = await silent(payouts, calls=5)
    for wrong in (
        {"outcome": "paid", "note": "n"},
        {"outcome": "not_paid", "reference": "ted-7", "note": "n"},
        {"outcome": "perhaps", "note": "n"},
        {"outcome": "not_paid"},
    ):
        assert (await settle(payouts, order_id, wrong)).status_code == 422
    stale = await settle(payouts, order_id, NOT_PAID, **{"If-Match": '"7"'})
    assert stale.status_code == 412
    assert await payouts.status(order_id) == "PENDING"
