"""Buyers, sellers and operators act through the HTTP endpoints only.

The demo and the end-to-end tests use the running services through this.
"""

import asyncio
import secrets
import string
import time
from collections.abc import Mapping
from typing import Any
from uuid import UUID, uuid4

import httpx
from validate_docbr import CPF, RENAVAM

Json = dict[str, Any]

APPROVED, DECLINED = "tok_approve", "tok_decline"
"""The sandbox gateway accepts the card of the first token and declines that of the second."""

FINAL_STATES = frozenset({"COMPLETED", "CLOSED", "FAILED", "CANCELLED"})


class NotReached(Exception):
    """A purchase did not reach the expected state in time."""


class Market:
    """A market sends to the services by name: `{"orders": "http://127.0.0.1:8000", …}`."""

    def __init__(
        self,
        addresses: Mapping[str, str],
        *,
        tenant: str = "default",
        timeout: float = 20.0,
        token: str | None = None,
    ) -> None:
        headers = {"X-Tenant-Id": tenant}
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        self.tenant = tenant
        self._timeout = timeout
        self._clients = {
            name: httpx.AsyncClient(
                base_url=address, headers=headers, timeout=timeout, trust_env=False
            )
            for name, address in addresses.items()
        }

    async def close(self) -> None:
        for client in self._clients.values():
            await client.aclose()

    async def send(
        self, service: str, method: str, path: str, *, expect: int, **request: Any
    ) -> httpx.Response:
        """Send a request, again while the answer is 503, as that answer demands. Any status but the
        expected one is an error that shows the answer.
        """
        deadline = time.monotonic() + self._timeout
        while True:
            response = await self._clients[service].request(method, path, **request)
            if response.status_code != 503 or time.monotonic() > deadline:
                break
            await asyncio.sleep(float(response.headers.get("Retry-After", 1)))
        if response.status_code != expect:
            raise httpx.HTTPStatusError(
                f"{method} {path} answered {response.status_code}: {response.text[:300]}",
                request=response.request,
                response=response,
            )
        return response

    async def register_customer(self, *, credit_limit_cents: int, **more: str) -> UUID:
        name = random_letters(8).title()
        customer = {
            "name": f"{name} Souza",
            "email": f"{name.lower()}@example.com",
            "phone": "+5511987654321",
            "document": CPF().generate(),
            "credit_limit_cents": credit_limit_cents,
        }
        response = await self.send(
            "customers",
            "POST",
            "/customers",
            expect=201,
            json=customer | more,
            headers=idempotency_key(),
        )
        return UUID(response.json()["id"])

    async def list_vehicle(self, *, price_cents: int, **more: Any) -> UUID:
        vehicle = {
            "make": "Volkswagen",
            "model": "Gol",
            "year": 2022,
            "colour": "prata",
            "price_cents": price_cents,
            "plate": random_plate(),
            "chassis_number": random_chassis_number(),
            "renavam": RENAVAM().generate(),
            "seller_id": str(uuid4()),
        }
        response = await self.send(
            "vehicles",
            "POST",
            "/vehicles",
            expect=201,
            json=vehicle | more,
            headers=idempotency_key(),
        )
        return UUID(response.json()["id"])

    async def buy(
        self, customer_id: UUID, vehicle_id: UUID, total_cents: int, *, key: str | None = None
    ) -> UUID:
        """Start a purchase. Returns its transaction id, which is the order's.

        The same `key` (of idempotency) again starts nothing new.
        """
        response = await self.send(
            "orders",
            "POST",
            "/purchase",
            expect=202,
            json={
                "customer_id": str(customer_id),
                "vehicle_id": str(vehicle_id),
                "total_cents": total_cents,
            },
            headers=idempotency_key(key),
        )
        return UUID(response.json()["transaction_id"])

    async def pay(self, code: str, *, method: str = APPROVED, key: str | None = None) -> None:
        await self.send(
            "payments",
            "POST",
            "/payments",
            expect=202,
            json={"code": code, "method": method},
            headers=idempotency_key(key),
        )

    async def cancel(self, order_id: UUID) -> None:
        await self.send("orders", "POST", f"/purchases/{order_id}/cancel", expect=202)

    async def pick_up(self, order_id: UUID) -> None:
        await self.send("orders", "POST", f"/orders/{order_id}/close", expect=200)

    async def seller_paid(self, order_id: UUID) -> Json:
        """Wait until the bank has paid the seller of a closed order, or raise NotReached."""
        deadline = time.monotonic() + self._timeout
        while True:
            payout = await self._payout(order_id)
            if payout is not None and payout["status"] == "PAID":
                return payout
            if time.monotonic() > deadline or (payout and payout["status"] == "FAILED"):
                raise NotReached(f"the seller of order {order_id} is not paid: {payout}")
            await asyncio.sleep(0.02)

    async def _payout(self, order_id: UUID) -> Json | None:
        response = await self._clients["payouts"].get(f"/payouts/order:{order_id}")
        if response.status_code == httpx.codes.NOT_FOUND:
            return None
        response.raise_for_status()
        answer: Json = response.json()
        return answer

    async def state(self, order_id: UUID) -> Json:
        response = await self.send("orders", "GET", f"/saga-states/{order_id}", expect=200)
        answer: Json = response.json()
        return answer

    async def reach(self, order_id: UUID, *states: str) -> Json:
        """Wait until the purchase is in one of `states`, or raise NotReached."""
        deadline = time.monotonic() + self._timeout
        pause = 0.005
        while True:
            now = await self.state(order_id)
            if now["state"] in states:
                return now
            if now["state"] in FINAL_STATES or time.monotonic() > deadline:
                raise NotReached(
                    f"purchase {order_id} is {now['state']} ({now.get('reason')}), "
                    f"not {' or '.join(states)}"
                )
            await asyncio.sleep(pause)
            pause = min(pause * 1.5, 0.1)

    async def payment_code(self, order_id: UUID) -> str:
        code: str = (await self.reach(order_id, "AWAITING_PAYMENT"))["payment_code"]
        return code


def idempotency_key(key: str | None = None) -> dict[str, str]:
    return {"Idempotency-Key": key or str(uuid4())}


def random_letters(count: int) -> str:
    return "".join(secrets.choice(string.ascii_uppercase) for _ in range(count))


def random_plate() -> str:
    """Return a plate of the Mercosul pattern: ABC1D23."""
    digits = [secrets.choice(string.digits) for _ in range(3)]
    return f"{random_letters(3)}{digits[0]}{random_letters(1)}{digits[1]}{digits[2]}"


def random_chassis_number(maker: str = "9BW") -> str:
    """Return 17 signs, of a Brazilian maker, without the letters I, O and Q (ISO 3779)."""
    alphabet = "ABCDEFGHJKLMNPRSTUVWXYZ" + string.digits
    return (
        maker
        + "".join(secrets.choice(alphabet) for _ in range(8))
        + f"{secrets.randbelow(10**6):06}"
    )
