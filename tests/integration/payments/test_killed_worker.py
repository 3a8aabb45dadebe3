"""A worker process killed outright between the gateway's answer and its own commit."""

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

from services.payments.infrastructure.settings import PaymentsSettings
from tests.fixtures.polling import eventually
from tests.integration.payments.conftest import Payments

ROOT = Path(__file__).parents[3]


@pytest.mark.slow
async def test_payment_is_charged_once_though_the_worker_was_killed(
    payments: Payments, settings: PaymentsSettings, vhost: str
) -> None:
    """The sandbox books the charge, then thinks: that is when the worker dies."""
    order_id = await payments.reserved()
    await payments.paid(order_id)
    environment = {
        "DATABASE_URL": settings.database_url,
        "RABBITMQ_URL": vhost,
        "ROLE": "worker",
        "PORT": "0",
        "SANDBOX_LATENCY_SECONDS": "60",
        "GATEWAY_PATIENCE_SECONDS": "90",
        "GATEWAY_LEASE_SECONDS": "100",
    }
    worker = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "services.payments.main",
        env=os.environ | environment,
        cwd=ROOT,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:

        async def charged() -> bool:
            return await payments.moved(order_id, "charge") == 1

        await eventually(charged, timeout=30)
    finally:
        worker.send_signal(signal.SIGKILL)
        await worker.wait()
    assert await payments.state(order_id) == "PROCESSING"
    assert await payments.loop("gateway") is False
    assert await payments.state(order_id) == "PROCESSING", "its lease has not ended"

    await payments.gateway_turn()
    assert await payments.state(order_id) == "PROCESSED"
    rows = await payments.rows("SELECT calls FROM sandbox_operations")
    assert [row["calls"] for row in rows] == [2]
