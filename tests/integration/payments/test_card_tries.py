"""A setting says how often a card may be tried. The code stays payable until the last try."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from typing import Any

import pytest

from libs.kernel.ids import uuid7
from services.payments.infrastructure.settings import PaymentsSettings
from services.payments.main import build
from services.tokens import Issuer
from tests.fixtures.services import serving
from tests.integration.payments.conftest import Payments


@pytest.fixture
async def patient(settings: PaymentsSettings, issuer: Issuer) -> AsyncIterator[Payments]:
    """Yield the service with three tries for a card."""
    service = build(settings.model_copy(update={"card_tries": 3}))
    async with serving(service) as client:
        tested = Payments(client, issuer, f"tenant-{uuid.uuid4().hex}", uuid7())
        await tested.client.execute("TRUNCATE payments, sandbox_operations, outbox")
        yield tested


async def look(payments: Payments, code: str) -> tuple[str, int, int, str | None]:
    answer = await payments.client.get(f"/payment-codes/{code}", headers=payments.buyer)
    body: dict[str, Any] = answer.json()
    return body["state"], body["declines"], body["tries_left"], body["reason"]


async def test_with_the_default_one_declined_card_ends_the_payment(payments: Payments) -> None:
    order_id = await payments.reserved()
    code = await payments.code(order_id)
    assert await look(payments, code) == ("PENDING", 0, 1, None)
    await payments.paid(order_id, "tok_decline")
    await payments.gateway_turn()
    assert await look(payments, code) == ("FAILED", 1, 0, "card_declined")
    assert (await payments.client.types(order_id))[-1] == "payment.failed.v1"


async def test_with_tries_left_another_card_pays_and_nothing_is_published_before(
    patient: Payments,
) -> None:
    order_id = await patient.reserved()
    code = await patient.code(order_id)
    await patient.paid(order_id, "tok_decline")
    await patient.gateway_turn()
    assert await look(patient, code) == ("PENDING", 1, 2, "card_declined")
    assert await patient.client.types(order_id) == ["payment.code_generated.v1"]
    await patient.paid(order_id, "tok_approve")
    await patient.gateway_turn()
    assert (await look(patient, code))[0] == "PROCESSED"
    assert await patient.client.types(order_id) == [
        "payment.code_generated.v1",
        "payment.processed.v1",
    ]
    assert await patient.moved(order_id, "charge") == 1


async def test_the_last_declined_card_ends_the_payment(patient: Payments) -> None:
    order_id = await patient.reserved()
    code = await patient.code(order_id)
    for card in ("tok_decline", "tok_insufficient_funds", "tok_decline"):
        await patient.paid(order_id, card)
        await patient.gateway_turn()
    assert await look(patient, code) == ("FAILED", 3, 0, "card_declined")
    assert (await patient.client.types(order_id))[-1] == "payment.failed.v1"
    await patient.paid(order_id, "tok_approve")
    await patient.gateway_turn()
    assert await patient.moved(order_id, "charge") == 0


async def test_a_declined_card_whose_answer_was_lost_counts_once(patient: Payments) -> None:
    order_id = await patient.reserved()
    code = await patient.code(order_id)
    key = uuid.uuid4().hex
    first = await patient.pay(code, "tok_decline", key)
    await patient.gateway_turn()
    again = await patient.pay(code, "tok_decline", key)
    assert again.content == first.content
    await patient.gateway_turn()
    assert (await look(patient, code))[1:3] == (1, 2)


async def test_two_cards_at_once_are_one_try(patient: Payments) -> None:
    order_id = await patient.reserved()
    code = await patient.code(order_id)
    await patient.paid(order_id, "tok_decline")
    await patient.gateway_turn()
    await asyncio.gather(patient.pay(code, "tok_approve"), patient.pay(code, "tok_decline"))
    await patient.gateway_turn()
    tried = await patient.client.rows("SELECT 1 FROM sandbox_operations")
    assert len(tried) == 2


async def test_after_a_declined_card_the_code_still_expires_and_is_voided(
    patient: Payments,
) -> None:
    expired, cancelled = await patient.reserved(), await patient.reserved()
    for order_id in (expired, cancelled):
        await patient.paid(order_id, "tok_decline")
    await patient.gateway_turn()
    await patient.overdue(expired)
    await patient.loop("expiry")
    await patient.cancelled(cancelled)
    assert (await patient.client.types(expired))[-1] == "payment.expired.v1"
    assert (await patient.client.types(cancelled))[-1] == "payment.voided.v1"


async def test_a_purchase_cancelled_while_the_card_is_tried_gets_no_other_try(
    patient: Payments,
) -> None:
    order_id = await patient.reserved()
    await patient.paid(order_id, "tok_decline")
    await patient.cancelled(order_id)
    await patient.gateway_turn()
    assert await patient.state(order_id) == "FAILED"
    assert (await patient.client.types(order_id))[-1] == "payment.failed.v1"
