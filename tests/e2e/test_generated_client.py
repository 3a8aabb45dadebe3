"""A buyer can buy a vehicle with clients that a tool generates from the OpenAPI documents."""

import asyncio
import random
import subprocess
import sys
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any
from uuid import uuid4

import httpx
import pytest
from validate_docbr import CPF, RENAVAM

from tests.e2e.quiet import invariants_hold
from tests.e2e.system import System

PRICE = 4_590_000
TENANT = "default"
NEEDED = ("orders", "customers", "vehicles", "payments")
SECONDS = 60
GENERATOR = "openapi-python-client==0.29.1"
"""The generator has its own environment, because it needs an older typer than ours."""


pytestmark = [pytest.mark.long, pytest.mark.timeout(300)]


class Generated:
    """`Generated` has the services' clients by name, in a package of its own below `folder`."""

    def __init__(self, system: System, folder: Path) -> None:
        self._package = f"generated_{uuid4().hex}"
        root = folder / self._package
        root.mkdir()
        (root / "__init__.py").touch()
        config = folder / "config.yaml"
        config.write_text("post_hooks: []\n")
        self._clients: dict[str, Any] = {}
        self._addresses = {name: system.state.service_url(name) for name in NEEDED}
        for name, address in self._addresses.items():
            document = folder / f"{name}.json"
            answer = httpx.get(f"{address}/openapi.json", trust_env=False)
            document.write_bytes(answer.raise_for_status().content)
            done = subprocess.run(
                [
                    *(sys.executable, "-m", "uv", "tool", "run", "--system-certs", "--quiet"),
                    *("--from", GENERATOR, "openapi-python-client", "generate"),
                    *("--path", str(document), "--output-path", str(root / name)),
                    *("--meta", "none", "--config", str(config), "--fail-on-warning"),
                ],
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.returncode == 0, done.stdout + done.stderr

    def module(self, path: str) -> ModuleType:
        return import_module(f"{self._package}.{path}")

    def client(self, service: str) -> Any:
        if service not in self._clients:
            self._clients[service] = self.module(f"{service}.client").Client(
                base_url=self._addresses[service],
                raise_on_unexpected_status=True,
                httpx_args={"trust_env": False},
            )
        return self._clients[service]

    async def call(self, service: str, tag: str, operation: str, *args: Any, **named: Any) -> Any:
        """Return the answer of one operation. Whatever the answer is, the document has its type."""
        function: Callable[..., Any] = self.module(f"{service}.api.{tag}.{operation}").asyncio
        return await function(*args, client=self.client(service), x_tenant_id=TENANT, **named)

    def model(self, service: str, kind: str, /, **fields: Any) -> Any:
        return getattr(self.module(f"{service}.models"), kind)(**fields)

    async def close(self) -> None:
        for client in self._clients.values():
            await client.get_async_httpx_client().aclose()


@pytest.fixture
def generated(system: System, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Generated:
    monkeypatch.syspath_prepend(str(tmp_path))
    return Generated(system, tmp_path)


async def test_a_generated_client_buys_a_vehicle(system: System, generated: Generated) -> None:
    customer = await generated.call(
        "customers", "customers", "register_customer",
        body=generated.model(
            "customers", "CustomerIn", name="Ana Souza", email="ana@example.com",
            phone="+5511987654321", document=CPF().generate(), credit_limit_cents=PRICE,
        ),
    )  # fmt: skip
    digits = random.randrange(10**6)
    vehicle = await generated.call(
        "vehicles", "vehicles", "list_vehicle_for_sale",
        body=generated.model(
            "vehicles", "NewVehicle", make="Fiat", model="Uno", year=2021, colour="red",
            price_cents=PRICE, plate=f"GEN{digits % 10}D{digits // 10 % 100:02}",
            chassis_number=f"9BWZZZ377VT{digits:06}", renavam=RENAVAM().generate(),
            seller_id=uuid4(),
        ),
    )  # fmt: skip
    wish = {"customer_id": customer.id, "vehicle_id": vehicle.id}
    too_cheap = await generated.call(
        "orders", "purchases", "buy_vehicle", idempotency_key=uuid4().hex,
        body=generated.model("orders", "PurchaseRequest", total_cents=0, **wish),
    )  # fmt: skip
    assert (too_cheap.code, too_cheap.errors[0].field) == ("invalid-input", "total_cents")
    begun = await generated.call(
        "orders", "purchases", "buy_vehicle", idempotency_key=uuid4().hex,
        body=generated.model("orders", "PurchaseRequest", total_cents=PRICE, **wish),
    )  # fmt: skip
    waiting = await state(generated, begun.transaction_id, "AWAITING_PAYMENT")
    await generated.call(
        "payments", "payments", "pay", idempotency_key=uuid4().hex,
        body=generated.model(
            "payments", "PaymentRequest", code=waiting.payment_code, method="tok_approve"
        ),
    )  # fmt: skip
    await state(generated, begun.transaction_id, "COMPLETED")
    closed = await generated.call("orders", "orders", "close_order", begun.transaction_id)
    assert str(closed.state) == "CLOSED"
    bought = await generated.call("vehicles", "vehicles", "get_vehicle", vehicle.id)
    assert bought.is_sold
    await generated.close()
    await invariants_hold(system)


async def state(generated: Generated, transaction_id: Any, wanted: str) -> Any:
    """Return the purchase, once it has reached that state."""
    give_up = time.monotonic() + SECONDS
    while True:
        found = await generated.call("orders", "purchases", "get_saga_state", transaction_id)
        if str(found.state) == wanted:
            return found
        assert time.monotonic() < give_up, found
        await asyncio.sleep(0.05)
