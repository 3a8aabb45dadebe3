"""The curl commands in the Orders API's description work as they are written."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from deploy.servers.ports import Ports
from tests.fixtures.polling import eventually

ROOT = Path(__file__).parents[3]

CREATE = """
curl -X POST http://localhost:8000/orders \\
  -H "X-Tenant-Id: tenant-1" \\
  -H "Idempotency-Key: key-123" \\
  -d "{}"
"""
CONFIRM = """
curl -X PATCH http://localhost:8000/orders/<ORDER_ID>/confirm \\
  -H "X-Tenant-Id: tenant-1" \\
  -H "If-Match: 1" \\
  -H "Content-Type: application/json" \\
  -d '{"totalCents": 5000}'
"""
CLOSE = """
curl -X POST http://localhost:8000/orders/<ORDER_ID>/close \\
  -H "X-Tenant-Id: tenant-1"
"""
LIST = """
curl -X GET "http://localhost:8000/orders?limit=5" \\
  -H "X-Tenant-Id: tenant-1"
"""


@pytest.fixture
async def port(orders_database: str) -> AsyncIterator[int]:
    """Yield the port of the orders service, which runs as a process of its own."""
    ports = Ports()  # the port is held until the process ends
    port = ports.pick()
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "services.orders.main",
        cwd=ROOT,
        env={"PATH": os.defpath, "PORT": str(port), "DATABASE_URL": orders_database, "ROLE": "api"},
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )

    async def ready() -> bool:
        assert process.returncode is None
        try:
            async with httpx.AsyncClient() as client:
                return (await client.get(f"http://127.0.0.1:{port}/ready")).is_success
        except httpx.TransportError:
            return False

    try:
        await eventually(ready, timeout=30)
        yield port
    finally:
        process.terminate()
        await process.wait()


async def run(command: str, port: int, home: Path) -> dict[str, Any]:
    """Run a command. Another program may use port 8000, so curl is redirected to a free port."""
    (home / ".curlrc").write_text(f'silent\nconnect-to = "localhost:8000:127.0.0.1:{port}"\n')
    shell = await asyncio.create_subprocess_shell(
        command,
        env={"PATH": os.defpath, "CURL_HOME": str(home)},
        stdout=asyncio.subprocess.PIPE,
    )
    output, _ = await shell.communicate()
    answer: dict[str, Any] = json.loads(output)
    return answer


async def test_the_curl_sequence_works_as_written(port: int, tmp_path: Path) -> None:
    created = await run(CREATE, port, tmp_path)
    assert (created["status"], created["version"]) == ("draft", 1)
    assert await run(CREATE, port, tmp_path) == created

    confirmed = await run(CONFIRM.replace("<ORDER_ID>", created["id"]), port, tmp_path)
    assert (confirmed["status"], confirmed["version"]) == ("confirmed", 2)
    assert confirmed["totalCents"] == 5000

    closed = await run(CLOSE.replace("<ORDER_ID>", created["id"]), port, tmp_path)
    assert closed["status"] == "closed"

    listed = await run(LIST, port, tmp_path)
    assert listed == {"items": [closed], "next": None}
