"""A worker process is killed at each point around a call of the bank. The seller is paid once, and
that is published once.
"""

import pytest

from services.payouts.infrastructure.settings import PayoutsSettings
from tests.faults.crashes import dies_at
from tests.integration.payouts.conftest import Payouts

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("point", "transfers", "recorded"),
    [
        ("bank called", [], False),
        ("bank answered", [(True, 1)], False),
        ("before commit:payout.completed.v1", [(True, 1)], False),
        ("after commit:payout.completed.v1", [(True, 1)], True),
    ],
)
async def test_seller_is_paid_once_though_the_worker_was_killed(
    payouts: Payouts,
    settings: PayoutsSettings,
    vhost: str,
    point: str,
    transfers: list[tuple[bool, int]],
    *,
    recorded: bool,
) -> None:
    order_id = await payouts.closed()
    database = settings.database_url
    worker = {"DATABASE_URL": database, "RABBITMQ_URL": vhost, "ROLE": "worker", "PORT": "0"}
    await dies_at(point, "services.payouts.main", database=database, environment=worker)
    left = "PAID" if recorded else "PENDING"
    assert await payouts.transfers() == transfers
    assert await payouts.status(order_id) == left
    assert await payouts.loop("bank") is False
    assert await payouts.status(order_id) == left, "its lease has not ended"

    await payouts.bank_turn()
    assert await payouts.status(order_id) == "PAID"
    ((paid, calls),) = await payouts.transfers()
    assert paid
    assert calls == (2 if transfers and not recorded else 1)
    assert (await payouts.client.types(order_id)).count("payout.completed.v1") == 1
