"""When the gateway leaves a charge unanswered, a person is asked in time and can settle it."""

from typing import Any
from uuid import UUID

import httpx
import pytest
from prometheus_client import REGISTRY

from services.payments.application.record_charge import record_charge
from services.payments.domain.gateway import Answer, Approved, GatewayPolicy
from services.payments.infrastructure.settings import PaymentsSettings
from tests.fixtures.polling import eventually
from tests.integration.payments.conftest import Payments

UNANSWERED = "payment.charge_unanswered.v1"
CHARGED = {"outcome": "charged", "reference": "gw-7", "note": "the gateway's desk says so"}
NOT_CHARGED = {"outcome": "not_charged", "note": "the gateway's desk says so"}

pytestmark = pytest.mark.usefixtures("silence_at_once")


async def silent(payments: Payments, calls: int) -> tuple[UUID, str]:
    """Return the order and the payment id of a payment whose call was made `calls` times."""
    order_id = await payments.reserved()
    payment_id = await payments.paid(order_id, "tok_silent")
    await silence(payments, order_id, calls)
    return order_id, payment_id


async def silence(payments: Payments, order_id: UUID, calls: int) -> None:
    for _ in range(calls):
        await payments.gateway_turn()


async def settle(
    payments: Payments, payment_id: str, body: dict[str, Any], **headers: str
) -> httpx.Response:
    path = f"/payments/{payment_id}/charge/settle"
    return await payments.client.post(path, json=body, headers=payments.operator | headers)


async def in_need(payments: Payments) -> list[str]:
    found = await payments.client.get("/payments?needs_attention=true", headers=payments.operator)
    return [item["payment_id"] for item in found.json()["items"]]


async def answers_late(payments: Payments, order_id: UUID, answer: Answer) -> None:
    """Record the answer of a worker that stopped for longer than its lease."""
    policy: GatewayPolicy = PaymentsSettings.model_construct().gateway_terms.policy
    await payments.client.service.transactions.run(
        lambda uow: record_charge(
            uow, order_id=order_id, answer=answer, claim=UUID(int=1), policy=policy
        )
    )


async def test_a_call_that_needs_a_person_is_counted_until_it_is_settled(
    payments: Payments,
) -> None:
    counting = next(loop for loop in payments.client.service.loops if loop.name == "attention")

    async def counted() -> float | None:
        await counting.work()
        return REGISTRY.get_sample_value("needs_attention", {"service": "payments"})

    before = await counted()
    assert before is not None
    _, payment_id = await silent(payments, calls=5)
    assert await counted() == before + 1
    assert (await settle(payments, payment_id, NOT_CHARGED)).status_code == 200
    assert await counted() == before


async def test_a_charge_left_unanswered_asks_for_a_person_once_and_in_time(
    payments: Payments,
) -> None:
    order_id, payment_id = await silent(payments, calls=4)
    assert UNANSWERED not in await payments.client.types(order_id)
    assert await in_need(payments) == []
    assert (await settle(payments, payment_id, NOT_CHARGED)).status_code == 409
    await silence(payments, order_id, calls=3)
    assert (await payments.client.types(order_id)).count(UNANSWERED) == 1
    assert await in_need(payments) == [payment_id]
    assert (await payments.record(order_id))["attempts"] == 7, "it is asked on"


async def test_a_charge_settled_as_not_made_ends_a_cancelled_purchase_and_is_not_repeated(
    payments: Payments,
) -> None:
    order_id, payment_id = await silent(payments, calls=5)
    await payments.cancelled(order_id)
    answer = await settle(payments, payment_id, NOT_CHARGED)
    assert answer.status_code == 200, answer.text
    settled = answer.json()
    assert (settled["state"], settled["reason"]) == ("FAILED", "not_charged")
    assert (settled["charge_settled_by"], settled["charge_settlement_note"]) == (
        "some-operator",
        "the gateway's desk says so",
    )
    assert not settled["needs_attention"]
    assert (await payments.client.types(order_id))[-2:] == [UNANSWERED, "payment.failed.v1"]
    calls = (await payments.record(order_id))["attempts"]
    await payments.gateway_turn()
    assert (await payments.record(order_id))["attempts"] == calls
    assert (await settle(payments, payment_id, NOT_CHARGED)).status_code == 409


async def test_a_payment_settled_as_charged_goes_on_as_if_the_gateway_had_answered(
    payments: Payments,
) -> None:
    order_id, payment_id = await silent(payments, calls=5)
    answer = await settle(payments, payment_id, CHARGED)
    assert (answer.json()["state"], answer.json()["charge_reference"]) == ("PROCESSED", "gw-7")
    assert (await payments.client.types(order_id))[-1] == "payment.processed.v1"


async def test_a_cancelled_purchase_that_was_charged_is_refunded_by_hand_in_the_end(
    payments: Payments,
) -> None:
    order_id, payment_id = await silent(payments, calls=5)
    await payments.cancelled(order_id)
    assert (await settle(payments, payment_id, CHARGED)).json()["state"] == "REFUNDING"

    async def refused() -> bool:
        await payments.gateway_turn()
        return await payments.state(order_id) == "REFUND_FAILED"

    await eventually(refused)  # the sandbox does not know the charge
    assert await in_need(payments) == [payment_id]
    given_back = await payments.client.post(
        f"/payments/{payment_id}/refund/settle",
        json={"reference": "ted-1", "note": "by transfer"},
        headers=payments.operator,
    )
    assert given_back.json()["state"] == "REFUNDED"
    assert await in_need(payments) == []
    assert "payment.processed.v1" not in await payments.client.types(order_id)


async def test_money_taken_after_all_for_what_was_settled_as_not_charged_goes_back_once(
    payments: Payments,
) -> None:
    order_id, payment_id = await silent(payments, calls=5)
    await settle(payments, payment_id, NOT_CHARGED)
    for _ in range(2):
        await answers_late(payments, order_id, Approved("gw-late"))
    record = await payments.record(order_id)
    assert (record["state"], record["reason"]) == ("REFUNDING", "charged_after_all")
    assert record["charge_reference"] == "gw-late"


async def test_a_late_answer_to_what_was_settled_as_charged_changes_the_reference_only(
    payments: Payments,
) -> None:
    order_id, payment_id = await silent(payments, calls=5)
    await settle(payments, payment_id, CHARGED)
    before = await payments.client.types(order_id)
    await answers_late(payments, order_id, Approved("gw-late"))
    record = await payments.record(order_id)
    assert (record["state"], record["charge_reference"]) == ("PROCESSED", "gw-late")
    assert await payments.client.types(order_id) == before


async def test_a_charge_is_not_settled_while_the_gateway_is_asked(payments: Payments) -> None:
    order_id, payment_id = await silent(payments, calls=5)
    await payments.client.execute("UPDATE payments SET claim = gen_random_uuid()")
    answer = await settle(payments, payment_id, NOT_CHARGED)
    assert answer.status_code == 409
    assert answer.json()["type"].endswith(":charge-in-flight")
    assert await payments.state(order_id) == "PROCESSING"


async def test_a_settlement_says_what_it_is_about(payments: Payments) -> None:
    order_id, payment_id = await silent(payments, calls=5)
    for wrong in (
        {"outcome": "charged", "note": "n"},
        {"outcome": "not_charged", "reference": "gw-7", "note": "n"},
        {"outcome": "perhaps", "note": "n"},
        {"outcome": "not_charged"},
    ):
        assert (await settle(payments, payment_id, wrong)).status_code == 422
    stale = await settle(payments, payment_id, NOT_CHARGED, **{"If-Match": '"1"'})
    assert stale.status_code == 412
    assert await payments.state(order_id) == "PROCESSING"
