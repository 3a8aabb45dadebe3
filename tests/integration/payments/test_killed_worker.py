"""A worker process is killed at each point around a call of the gateway and around its timer. Money
moves once, and what is published is published once.
"""

import pytest

from services.payments.infrastructure.settings import PaymentsSettings
from tests.faults.crashes import dies_at
from tests.integration.payments.conftest import Payments

pytestmark = pytest.mark.slow


async def killed_at(point: str, settings: PaymentsSettings, vhost: str) -> None:
    database = settings.database_url
    worker = {"DATABASE_URL": database, "RABBITMQ_URL": vhost, "ROLE": "worker", "PORT": "0"}
    await dies_at(point, "services.payments.main", database=database, environment=worker)


@pytest.mark.parametrize(
    ("point", "charged", "recorded"),
    [
        ("gateway called:charge", 0, False),
        ("gateway answered:charge", 1, False),
        ("before commit:payment.processed.v1", 1, False),
        ("after commit:payment.processed.v1", 1, True),
    ],
)
async def test_payment_is_charged_once_though_the_worker_was_killed(
    payments: Payments,
    settings: PaymentsSettings,
    vhost: str,
    point: str,
    charged: int,
    *,
    recorded: bool,
) -> None:
    order_id = await payments.reserved()
    await payments.paid(order_id)
    await killed_at(point, settings, vhost)
    left = "PROCESSED" if recorded else "PROCESSING"
    assert await payments.moved(order_id, "charge") == charged
    assert await payments.state(order_id) == left
    assert await payments.loop("gateway") is False
    assert await payments.state(order_id) == left, "its lease has not ended"

    await payments.gateway_turn()
    assert await payments.state(order_id) == "PROCESSED"
    assert await payments.moved(order_id, "charge") == 1
    assert (await payments.client.types(order_id)).count("payment.processed.v1") == 1


@pytest.mark.parametrize(
    ("point", "refunded", "recorded"),
    [
        pytest.param("gateway called:refund", 0, False, marks=pytest.mark.long),
        pytest.param("gateway answered:refund", 1, False, marks=pytest.mark.long),
        pytest.param("before commit:payment.refunded.v1", 1, False, marks=pytest.mark.long),
        ("after commit:payment.refunded.v1", 1, True),
    ],
)
async def test_payment_is_refunded_once_though_the_worker_was_killed(
    payments: Payments,
    settings: PaymentsSettings,
    vhost: str,
    point: str,
    refunded: int,
    *,
    recorded: bool,
) -> None:
    order_id = await payments.reserved()
    await payments.paid(order_id)
    await payments.gateway_turn()
    await payments.cancelled(order_id)
    await killed_at(point, settings, vhost)
    assert await payments.moved(order_id, "refund") == refunded
    assert (await payments.state(order_id) == "REFUNDED") is recorded

    await payments.gateway_turn()
    assert await payments.state(order_id) == "REFUNDED"
    assert await payments.moved(order_id, "charge") == 1
    assert await payments.moved(order_id, "refund") == 1
    assert (await payments.client.types(order_id)).count("payment.refunded.v1") == 1


@pytest.mark.parametrize(
    ("point", "recorded"),
    [("before commit:payment.expired.v1", False), ("after commit:payment.expired.v1", True)],
)
async def test_code_expires_once_though_the_timer_was_killed(
    payments: Payments, settings: PaymentsSettings, vhost: str, point: str, *, recorded: bool
) -> None:
    order_id = await payments.reserved()
    await payments.overdue(order_id)
    await killed_at(point, settings, vhost)
    assert await payments.state(order_id) == ("EXPIRED" if recorded else "PENDING")

    await payments.loop("expiry")
    assert await payments.state(order_id) == "EXPIRED"
    assert (await payments.client.types(order_id)).count("payment.expired.v1") == 1
