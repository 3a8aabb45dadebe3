"""Whatever the gateway answers and wherever a worker is killed, a payment is charged
once and refunded once.
"""

from typing import Any

import pytest
from prometheus_client import REGISTRY

from libs.kernel.ids import uuid7
from libs.messaging.supervision import Supervisor
from services.payments.domain.gateway import Approved, Declined
from services.payments.infrastructure.sandbox_gateway import SandboxGateway
from services.payments.infrastructure.settings import PaymentsSettings
from tests.fixtures.polling import eventually
from tests.integration.payments.conftest import Payments

ENDS = {
    "tok_approve": ("PROCESSED", 1, None),
    "tok_decline": ("FAILED", 0, "card_declined"),
    "tok_insufficient_funds": ("FAILED", 0, "insufficient_funds"),
    "tok_nobody_knows": ("FAILED", 0, "unknown_token"),
    "tok_timeout": ("PROCESSED", 1, None),
    "tok_lost_answer": ("PROCESSED", 1, None),
    "tok_silent": ("PROCESSING", 0, None),
}


@pytest.mark.usefixtures("silence_at_once")
@pytest.mark.parametrize("method", ENDS)
async def test_payment_ends_as_its_token_says_and_charges_at_most_once(
    payments: Payments, method: str
) -> None:
    order_id = await payments.reserved()
    await payments.paid(order_id, method)
    for _ in range(3):
        await payments.gateway_turn()
    state, charges, reason = ENDS[method]
    record = await payments.record(order_id)
    assert (record["state"], record["reason"]) == (state, reason)
    assert await payments.moved(order_id, "charge") == charges


async def test_declined_payment_says_why(payments: Payments) -> None:
    order_id = await payments.reserved()
    payment_id = await payments.paid(order_id, "tok_decline")
    await payments.gateway_turn()
    failed = (await payments.client.told(order_id))[-1]
    assert failed["type"] == "payment.failed.v1"
    assert failed["data"]["reason"] == "card_declined"
    assert failed["data"]["payment_id"] == payment_id
    assert failed["data"]["amount_cents"] == 4_500_000


@pytest.mark.usefixtures("silence_at_once")
async def test_unanswered_call_is_repeated_later_and_later(payments: Payments) -> None:
    order_id = await payments.reserved()
    await payments.paid(order_id, "tok_silent")
    waits = []
    for _ in range(3):
        await payments.gateway_turn()
        (row,) = await payments.client.rows(
            "SELECT extract(epoch FROM next_attempt - updated_at) AS wait FROM payments"
        )
        waits.append(round(float(row["wait"])))
    assert waits == [1, 2, 4]
    assert (await payments.record(order_id))["attempts"] == 3


@pytest.mark.parametrize("method", ["tok_approve", "tok_decline"])
async def test_worker_killed_between_the_answer_and_the_commit_charges_once(
    payments: Payments, settings: PaymentsSettings, method: str
) -> None:
    """The call went out, its claim ends, and another worker repeats it with the same key."""
    order_id = await payments.reserved()
    await payments.paid(order_id, method)
    transactions = payments.client.service.transactions
    lease = settings.gateway_terms.lease
    (claimed,) = await transactions.run(lambda uow: uow.payments.claim_calls(1, lease))
    killed = SandboxGateway(transactions.engine)
    first = await killed.charge(
        f"charge-{claimed.payment_id}", order_id=order_id, amount_cents=4_500_000, method=method
    )
    assert await payments.loop("gateway") is False
    assert await payments.state(order_id) == "PROCESSING"

    await payments.gateway_turn()
    assert isinstance(first, Approved) == (await payments.state(order_id) == "PROCESSED")
    rows = await payments.client.rows("SELECT calls, outcome FROM sandbox_operations")
    assert [row["calls"] for row in rows] == [2]


async def test_payment_wakes_the_gateway_loop_at_once(payments: Payments) -> None:
    (loop,) = [loop for loop in payments.client.service.loops if loop.name == "gateway"]
    loop.every = 3600
    parts = Supervisor("test")
    loop.start(parts)
    try:
        order_id = await payments.reserved()
        await payments.paid(order_id)

        async def processed() -> bool:
            return await payments.state(order_id) == "PROCESSED"

        await eventually(processed)
    finally:
        await parts.stop(within=5)


async def test_failing_refund_is_published_once_and_retried_until_it_goes_through(
    payments: Payments,
) -> None:
    order_id = await payments.reserved()
    await payments.paid(order_id, "tok_refund_refused_thrice")
    await payments.gateway_turn()
    await payments.cancelled(order_id)
    for _ in range(3):
        await payments.gateway_turn()
    assert await payments.state(order_id) == "REFUND_FAILED"
    failed = (await payments.client.told(order_id))[-1]
    assert failed["type"] == "payment.refund_failed.v1"
    assert failed["data"]["reason"] == "refund_refused"
    await payments.gateway_turn()
    assert await payments.state(order_id) == "REFUNDED"
    assert (await payments.client.types(order_id))[2:] == [
        "payment.refund_failed.v1",
        "payment.refunded.v1",
    ]
    assert await payments.moved(order_id, "refund") == 1


async def test_refund_refused_once_needs_no_person(payments: Payments) -> None:
    order_id = await payments.reserved()
    await payments.paid(order_id, "tok_refund_refused_once")
    await payments.gateway_turn()
    await payments.cancelled(order_id)
    await payments.gateway_turn()
    await payments.gateway_turn()
    assert (await payments.client.types(order_id))[-1] == "payment.refunded.v1"
    assert "payment.refund_failed.v1" not in await payments.client.types(order_id)


@pytest.mark.parametrize("patience", [1])
async def test_refund_whose_answer_was_lost_is_made_once(payments: Payments) -> None:
    order_id = await payments.reserved()
    await payments.paid(order_id, "tok_refund_lost_answer")
    await payments.gateway_turn()
    await payments.cancelled(order_id)
    for _ in range(2):
        await payments.gateway_turn()
    assert await payments.state(order_id) == "REFUNDED"
    rows = await payments.client.rows("SELECT calls FROM sandbox_operations WHERE kind = 'refund'")
    assert [row["calls"] for row in rows] == [2]


async def test_repeated_key_gives_the_first_result_whatever_else_is_asked(
    payments: Payments,
) -> None:
    """The same holds for a gateway that was started again."""
    order_id = uuid7()
    kinds = []
    orders = {"a": ["tok_approve", "tok_decline"], "b": ["tok_decline", "tok_approve"]}
    for key, methods in orders.items():
        for method in methods:
            gateway = SandboxGateway(payments.client.service.transactions.engine)
            answer = await gateway.charge(key, order_id=order_id, amount_cents=1, method=method)
            kinds.append(type(answer))
    assert kinds == [Approved, Approved, Declined, Declined]


async def test_sandbox_refunds_no_charge_it_never_made(payments: Payments) -> None:
    gateway = SandboxGateway(payments.client.service.transactions.engine)
    answer = await gateway.refund("refund-x", charge_reference="charge-x", amount_cents=1)
    assert not isinstance(answer, Approved)


async def test_answers_of_the_gateway_are_counted(payments: Payments) -> None:
    labels: dict[str, Any] = {"call": "charge", "answer": "approved"}
    before = REGISTRY.get_sample_value("payments_gateway_answers_total", labels) or 0
    order_id = await payments.reserved()
    await payments.paid(order_id)
    await payments.gateway_turn()
    after = REGISTRY.get_sample_value("payments_gateway_answers_total", labels) or 0
    assert after - before == 1
