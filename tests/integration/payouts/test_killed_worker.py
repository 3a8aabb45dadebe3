"""A worker process killed outright between the bank's answer and its own commit."""

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

from services.payouts.infrastructure.settings import PayoutsSettings
from tests.fixtures.polling import eventually
from tests.integration.payouts.conftest import Payouts

ROOT = Path(__file__).parents[3]


@pytest.mark.slow
async def test_seller_is_paid_once_though_the_worker_was_killed(
    payouts: Payouts, settings: PayoutsSettings, vhost: str
) -> None:
    """The sandbox books the transfer, then thinks: that is when the worker dies."""
    order_id = await payouts.closed()
    environment = {
        "DATABASE_URL": settings.database_url,
        "RABBITMQ_URL": vhost,
        "ROLE": "worker",
        "PORT": "0",
        "SANDBOX_BANK_LATENCY_SECONDS": "60",
        "BANK_PATIENCE_SECONDS": "90",
        "BANK_LEASE_SECONDS": "100",
    }
    worker = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "services.payouts.main",
        env=os.environ | environment,
        cwd=ROOT,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:

        async def paid() -> bool:
            return await payouts.transfers() == [(True, 1)]

        await eventually(paid, timeout=30)
    finally:
        worker.send_signal(signal.SIGKILL)
        await worker.wait()
    assert await payouts.status(order_id) == "PENDING"
    assert await payouts.loop() is False
    assert await payouts.status(order_id) == "PENDING", "its lease has not ended"

    await payouts.bank_turn()
    assert await payouts.status(order_id) == "PAID"
    assert await payouts.transfers() == [(True, 2)]
