"""Fakes the services behind the pages, and uses a page as a browser does."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from html import unescape
from typing import Any
from urllib.parse import urlsplit

import httpx

from libs.kernel.ids import uuid7
from services.portal.infrastructure.settings import PortalSettings
from tests.fixtures.services import ServiceClient

Answer = httpx.Response | Callable[[httpx.Request], httpx.Response]
ADDRESSES = {
    name: f"http://127.0.0.1:{port}"
    for port, name in enumerate(PortalSettings.model_construct().addresses, start=1)
}
"""Nothing answers at these addresses, whatever runs on this machine."""
OWN_PORT = 9
"""The portal probes itself at this port, where nothing answers either."""
PORTS = {str(urlsplit(url).port): name for name, url in ADDRESSES.items()}


@dataclass
class Behind:
    """`Behind` answers by `SERVICE METHOD PATH`. A call without an answer here gets none."""

    answers: dict[str, Answer] = field(default_factory=dict)
    calls: list[tuple[str, httpx.Request]] = field(default_factory=list)

    def says(self, call: str, body: Any, status: int = 200, **headers: str) -> None:
        self.answers[call] = httpx.Response(status, json=body, headers=headers)

    def refuses(self, call: str, status: int, code: str, detail: str, **more: Any) -> None:
        problem = {"type": f"urn:mercado-veiculo:problem:{code}", "detail": detail, **more}
        self.says(call, problem, status)

    def down(self, service: str) -> None:
        for call in [call for call in self.answers if call.startswith(f"{service} ")]:
            del self.answers[call]

    def sent(self, call: str) -> list[httpx.Request]:
        return [request for made, request in self.calls if made == call]

    def bodies(self, call: str) -> list[Any]:
        return [json.loads(request.content) for request in self.sent(call)]

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        service = PORTS[str(request.url.port)]
        call = f"{service} {request.method} {request.url.path}"
        self.calls.append((call, request))
        answer = self.answers.get(call)
        if answer is None:
            raise httpx.ConnectError("refused", request=request)
        return answer(request) if callable(answer) else answer


def vehicle(**changed: Any) -> dict[str, Any]:
    return {
        "id": str(uuid7()),
        "make": "Fiat",
        "model": "Strada",
        "year": 2022,
        "colour": "vermelho",
        "price_cents": 98_900_00,
        "plate": "ABC1D23",
        "chassis_number": "9BWZZZ377VT004251",
        "renavam": "12345678900",
        "seller_id": str(uuid7()),
        "is_reserved": False,
        "is_sold": False,
        "withdrawn": False,
        **changed,
    }


def purchase(**changed: Any) -> dict[str, Any]:
    return {
        "transaction_id": str(uuid7()),
        "state": "REQUESTED",
        "customer_id": str(uuid7()),
        "vehicle_id": str(uuid7()),
        "total_cents": 98_900_00,
        "reason": None,
        "cancelled_by_buyer": False,
        "needs_attention": False,
        "payment_code": None,
        "payment_code_expires_at": None,
        "history": [],
        **changed,
    }


def field_of(page: httpx.Response, name: str) -> str:
    """Return the value of an input."""
    found = re.search(rf'<input[^>]*name="{name}"[^>]*?value="([^"]*)"', page.text)
    assert found, f"no field {name}"
    return unescape(found[1])


def error_of(page: httpx.Response, name: str) -> str:
    """Return the error shown beside a field."""
    found = re.search(rf'id="{name}-error">([^<]*)<', page.text)
    return unescape(found[1]) if found else ""


async def submit(
    client: ServiceClient, page: httpx.Response, to: str, **typed: str
) -> httpx.Response:
    """Send a form of `page` as a browser does."""
    return await client.post(to, data={"csrf_token": field_of(page, "csrf_token"), **typed})
