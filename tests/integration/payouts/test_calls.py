"""Whatever the bank answers and wherever a worker is killed, every seller is paid once."""

from uuid import UUID

import pytest
import structlog
from prometheus_client import REGISTRY

from libs.kernel.ids import uuid7
from libs.messaging.supervision import Supervisor
from services.payouts.domain.bank import Paid
from services.payouts.infrastructure.sandbox_bank import SandboxBank
from services.payouts.infrastructure.settings import PayoutsSettings
from tests.fixtures.polling import eventually
from tests.integration.payouts.conftest import (
    LOST_ANSWER,
    LOST_CALL,
    REFUSED_FOR_GOOD,
    REFUSED_ONCE,
    REFUSED_THRICE,
    SILENT,
    Payouts,
)

FAILED, COMPLETED = "payout.failed.v1", "payout.completed.v1"
ENDS: dict[UUID, tuple[str, str | None, list[str], tuple[bool, int]]] = {
    UUID("019a0000-0000-7000-8000-000000000001"): ("PAID", None, [COMPLETED], (True, 1)),
    REFUSED_FOR_GOOD: ("FAILED", "account_closed", [FAILED], (False, 1)),
    REFUSED_ONCE: ("PAID", None, [COMPLETED], (True, 2)),
    REFUSED_THRICE: ("FAILED", "limit_reached", [FAILED], (False, 3)),
    LOST_CALL: ("PAID", None, [COMPLETED], (True, 2)),
    LOST_ANSWER: ("PAID", None, [COMPLETED], (True, 2)),
    SILENT: ("PENDING", "the bank did not answer: TimeoutError", [], (False, 4)),
}


def bank_of(payouts: Payouts) -> SandboxBank:
    return SandboxBank(payouts.client.service.transactions.engine)


def counted(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0


@pytest.mark.usefixtures("silence_at_once")
@pytest.mark.parametrize("seller_id", ENDS, ids=lambda seller: str(seller)[-6:])
async def test_payout_ends_as_its_seller_says_and_pays_at_most_once(
    payouts: Payouts, seller_id: UUID
) -> None:
    order_id = await payouts.closed(seller_id=seller_id)
    await payouts.bank_turn(4)
    status, reason, events, transfer = ENDS[seller_id]
    record = await payouts.record(order_id)
    assert (record["status"], record["reason"]) == (status, reason)
    assert await payouts.client.types(order_id) == events
    assert await payouts.transfers() == [transfer]


async def test_payout_that_fails_for_good_says_why_and_raises_an_alarm(payouts: Payouts) -> None:
    before = counted("payouts_failed_total")
    order_id = await payouts.closed(seller_id=REFUSED_FOR_GOOD)
    with structlog.testing.capture_logs() as logs:
        await payouts.bank_turn(2)
    (told,) = await payouts.client.told(order_id)
    assert told["data"]["reason"] == "account_closed"
    (alert,) = [line for line in logs if line["event"] == "payout failed"]
    assert (alert["log_level"], alert["order_id"]) == ("error", str(order_id))
    assert str(REFUSED_FOR_GOOD) not in str(logs)
    assert counted("payouts_failed_total") - before == 1


@pytest.mark.usefixtures("silence_at_once")
async def test_silent_bank_becomes_an_alarm_and_never_a_failure(payouts: Payouts) -> None:
    order_id = await payouts.closed(seller_id=SILENT)
    with structlog.testing.capture_logs() as logs:
        await payouts.bank_turn(6)
    levels = [line["log_level"] for line in logs if line["event"] == "bank silent"]
    assert levels == ["warning"] * 4 + ["error"] * 2
    assert await payouts.status(order_id) == "PENDING"
    assert FAILED not in await payouts.client.types(order_id)


@pytest.mark.parametrize("patience", [1])
@pytest.mark.parametrize("seller_id", [SILENT, REFUSED_THRICE], ids=["silent", "refused"])
async def test_call_that_did_not_pay_is_repeated_later_and_later(
    payouts: Payouts, seller_id: UUID
) -> None:
    await payouts.closed(seller_id=seller_id)
    waits = []
    for _ in range(2):
        await payouts.bank_turn()
        (row,) = await payouts.client.rows(
            "SELECT extract(epoch FROM next_attempt - updated_at) AS wait FROM payouts"
        )
        waits.append(round(float(row["wait"])))
        await payouts.loop("bank")
    assert waits == [1, 2]
    assert await payouts.transfers() == [(False, 2)], "nothing is called before its time"


@pytest.mark.parametrize("seller_id", [uuid7(), REFUSED_FOR_GOOD], ids=["paid", "refused"])
async def test_worker_killed_between_the_answer_and_the_commit_pays_once(
    payouts: Payouts, settings: PayoutsSettings, seller_id: UUID
) -> None:
    """The call went out, its claim ends, and another worker repeats it with the same key."""
    order_id = await payouts.closed(seller_id=seller_id)
    lease = settings.bank_terms.lease
    (claimed,) = await payouts.client.service.transactions.run(
        lambda uow: uow.payouts.claim_calls(1, lease)
    )
    first = await bank_of(payouts).pay(
        f"payout-{claimed.payout_id}",
        external_id=claimed.external_id,
        seller_id=seller_id,
        amount_cents=4_500_000,
    )
    assert await payouts.loop("bank") is False
    assert await payouts.status(order_id) == "PENDING", "its lease has not ended"

    await payouts.bank_turn()
    assert isinstance(first, Paid) == (await payouts.status(order_id) == "PAID")
    assert await payouts.transfers() == [(isinstance(first, Paid), 2)]


async def test_request_wakes_the_bank_loop_at_once(payouts: Payouts) -> None:
    (loop,) = [each for each in payouts.client.service.loops if each.name == "bank"]
    loop.every = 3600
    parts = Supervisor("test")
    loop.start(parts)
    try:
        await payouts.request("bonus-1")

        async def paid() -> bool:
            return await payouts.status("bonus-1") == "PAID"

        await eventually(paid)
    finally:
        await parts.stop(within=5)


async def test_key_that_was_paid_stays_paid_whatever_else_is_asked(payouts: Payouts) -> None:
    """The same holds for a bank that was started again."""
    for seller_id in (uuid7(), REFUSED_FOR_GOOD):
        answer = await bank_of(payouts).pay(
            "payout-1", external_id="x", seller_id=seller_id, amount_cents=1
        )
        assert isinstance(answer, Paid)
    assert await payouts.transfers() == [(True, 2)]


async def test_answers_of_the_bank_are_counted(payouts: Payouts) -> None:
    before = counted("payouts_bank_answers_total", answer="paid")
    await payouts.closed()
    await payouts.bank_turn()
    assert counted("payouts_bank_answers_total", answer="paid") - before == 1
