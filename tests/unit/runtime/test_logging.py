"""A service logs one line for each request, and leaves out what libraries repeat."""

import json
import subprocess
import sys
from typing import Any

ASKED = """
import asyncio
from aio_pika.tools import CallbackCollection, OneShotCallback
from fastapi import FastAPI
from httpx import ASGITransport, AsyncClient
from libs.runtime.logging import configure_logging
from libs.runtime.telemetry import RequestContext

configure_logging("shop", "INFO")
app = FastAPI()
app.add_middleware(RequestContext)

@app.get("/codes/{code}")
async def code(code: str) -> str:
    return "paid"

@app.get("/ready")
async def ready() -> str:
    return "yes"

async def gone(*_: object) -> None:
    raise RuntimeError("the channel is closed")

def gone_at_once(*_: object) -> None:
    raise RuntimeError("the channel is closed")

async def main() -> None:
    async with AsyncClient(transport=ASGITransport(app), base_url="http://shop") as client:
        await client.get("/codes/SECRET?token=SECRET", headers={"X-Request-Id": "0123456789abcdef"})
        await client.get("/ready")
        await client.get("/SECRET")
    await OneShotCallback(gone)()
    callbacks = CallbackCollection(app)
    callbacks.add(gone_at_once)
    await callbacks()

asyncio.run(main())
"""


def test_a_request_has_one_line_without_its_values_and_callbacks_of_the_broker_have_none() -> None:
    done = subprocess.run(
        [sys.executable, "-c", ASKED], capture_output=True, text=True, check=True, timeout=60
    )

    lines: list[dict[str, Any]] = [json.loads(line) for line in done.stderr.splitlines()]

    assert [(line["event"], line["route"], line["status"]) for line in lines] == [
        ("request", "/codes/{code}", 200),
        ("request", "unmatched", 404),
    ]
    assert lines[0]["request_id"] == "0123456789abcdef"
    assert lines[0]["ms"] > 0
    assert "SECRET" not in done.stderr
