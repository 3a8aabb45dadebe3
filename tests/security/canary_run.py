"""With `python -m tests.security.canary_run PLACE` persons buy and sell through the whole market,
which runs inside this process and logs as much as it can. PLACE is JSON: the databases, the vhost,
a folder, and the persons. Logs go to stderr. What the persons left behind goes to stdout as JSON.
"""

import asyncio
import json
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from libs.runtime.logging import configure_logging
from services.portal.infrastructure.identity.sessions import CSRF_HEADER, SESSION_COOKIE
from tests.fixtures.polling import eventually
from tests.fixtures.services import ServiceClient
from tests.fixtures.whole_market import Databases, WholeMarket, app_of, open_market, person
from tests.security.things import PRICE

PATIENCE = 60.0


@dataclass
class Left:
    """`told` are answers to those who may not see personal data, `secrets` tokens given out."""

    told: list[str] = field(default_factory=list)
    secrets: list[str] = field(default_factory=list)


class Market:
    def __init__(self, market: WholeMarket, people: dict[str, Any]) -> None:
        self.market = market
        self.people = people
        self.left = Left()
        self.admin = person("admin", tenant="default")
        self.operator = person("operator", tenant="default")

    async def join(self, who: str, purpose: str) -> ServiceClient:
        """Sign up, fail to sign in, and sign in, on the pages."""
        own = self.people[who]
        visitor = await self.market.browser(None)
        credentials = {"email": own["email"], "password": own["password"]}
        joined = await visitor.post(
            "/register", data={"name": own["name"], "purpose": purpose, **credentials}
        )
        assert joined.status_code == 303, joined.text
        wrong = credentials | {"password": own["password"] + "-wrong"}
        stranger = await self.market.browser(None)
        for page in ("/sign-in", "/register"):
            answer = await stranger.post(page, data=wrong)
            typed_by_the_user = wrong["email"]
            self.left.told.append(answer.text.replace(typed_by_the_user, ""))
        token = visitor.cookies[SESSION_COOKIE]
        csrf = app_of(visitor).state.sessions.csrf_token_of(token)
        visitor.headers[CSRF_HEADER] = csrf
        issued = (await visitor.post("/api/token")).json()["access_token"]
        self.left.secrets += [token, csrf, issued]
        return visitor

    async def become_customer(self, buyer: ServiceClient) -> UUID:
        """Send the account page a wrong document, then the right one. The admin gives credit."""
        own = self.people["buyer"]
        personal = {"name": own["name"], "phone": own["phone"], "document": own["document"]}
        bad = personal | {"document": own["document"] + "1"}
        assert (await buyer.post("/account/customer", data=bad)).status_code == 422
        made = await buyer.post("/account/customer", data=personal)
        assert made.status_code == 303, made.text
        self.tell(await self.ask(self.operator, "customers", "GET", "/customers"))
        by_email = {"email": own["email"]}
        found = await self.ask(
            self.operator, "customers", "POST", "/customers/search", json=by_email
        )
        self.tell(found)
        [customer] = found.json()["items"]
        path, version = f"/customers/{customer['id']}", {"If-Match": "1"}
        limit = {"limit_cents": 10 * PRICE}
        granted = await self.ask(
            self.admin, "customers", "PUT", f"{path}/credit-limit", json=limit, headers=version
        )
        self.tell(granted)
        again = personal | {"email": own["email"]}
        self.tell(await self.ask(self.admin, "customers", "POST", "/customers", json=again))
        return UUID(customer["id"])

    async def sell(self, seller: ServiceClient, n: int) -> str:
        """List a vehicle on its page, and then once more, which is refused."""
        own = self.people["vehicles"][n]
        form = {
            "make": "Fiat",
            "model": f"Canario {n}",
            "year": "2022",
            "colour": "prata",
            "price": str(PRICE // 100),
            "plate": own["plate"],
            "chassis_number": own["chassis_number"],
            "renavam": own["renavam"],
            "key": own["key"],
        }
        made = await seller.post("/sell/new", data=form)
        assert made.status_code == 303, made.text
        twice = await seller.post("/sell/new", data=form | {"key": own["other_key"]})
        assert twice.status_code == 409, twice.text
        listed = await self.ask(
            self.operator, "vehicles", "GET", "/vehicles", params={"model": f"Canario {n}"}
        )
        self.tell(listed)
        [vehicle] = listed.json()["items"]
        return str(vehicle["id"])

    async def hand_in(self, seller: ServiceClient) -> None:
        """Hand in a file with a good row and a bad one, and wait until the import ends."""
        good, bad = self.people["vehicles"][-2:]
        rows = ["make,model,year,colour,price_cents,plate,chassis_number,renavam"]
        rows += [
            f"Fiat,Canario,{year},prata,{PRICE},{one['plate']},{one['chassis_number']},"
            f"{one['renavam']}"
            for one, year in ((good, 2022), (bad, "canary"))
        ]
        content = "\n".join([*rows, f"Fiat,Canario,2022,prata,1,{bad['plate']}x,x,x"])
        files = {"file": ("vehicles.csv", content.encode(), "text/csv")}
        done = await seller.post("/imports", files=files)
        assert done.status_code == 303, done.text
        begun = await seller.post(f"{done.headers['Location']}/begin", data={"prices": "yes"})
        assert begun.status_code == 303, begun.text
        path = f"/api{done.headers['Location'].replace('imports', 'submissions')}"

        async def through() -> bool:
            answer = await self.ask(self.operator, "portal", "GET", path)
            self.left.told[-1:] = [answer.text]
            return bool(answer.json()["status"] != "RUNNING")

        self.left.told.append("")
        await eventually(through, PATIENCE)

    async def buy(self, buyer: ServiceClient, vehicle_id: str, key: str, method: str) -> str:
        """Buy and pay. Returns the order when its purchase is COMPLETED or FAILED."""
        form = {"key": key, "price_cents": str(PRICE)}
        begun = await buyer.post(f"/vehicles/{vehicle_id}/buy", data=form)
        assert begun.status_code == 303, begun.text
        order_id = begun.headers["Location"].rpartition("/")[2]
        state = await self.reach(order_id, "AWAITING_PAYMENT")
        payment = {"code": state["payment_code"], "method": method}
        assert (await buyer.post(f"/purchases/{order_id}/pay", data=payment)).status_code == 303
        await self.reach(order_id, "COMPLETED" if method == "tok_approve" else "FAILED")
        return order_id

    async def reach(self, order_id: str, state: str) -> Any:
        async def there() -> Any:
            answer = await self.ask(self.operator, "orders", "GET", f"/saga-states/{order_id}")
            return answer.json() if answer.json()["state"] == state else None

        return await eventually(there, PATIENCE)

    async def look_around(
        self, customer_id: UUID, vehicle_ids: list[str], orders: list[str]
    ) -> None:
        """Ask for everything that persons who may not see personal data in full can ask for."""
        nosy = person("buyer", "operator", tenant="default")
        for order_id in orders:
            self.tell(await self.ask(nosy, "orders", "GET", f"/saga-states/{order_id}"))
            self.tell(await self.ask(nosy, "orders", "GET", f"/orders/{order_id}"))
            path = f"/api/purchases/{order_id}/timeline"
            self.tell(await self.ask(nosy, "portal", "GET", path))
            self.tell(await self.ask(nosy, "payouts", "GET", f"/payouts/order:{order_id}"))
        for vehicle_id in vehicle_ids:
            self.tell(await self.ask(nosy, "vehicles", "GET", f"/vehicles/{vehicle_id}"))
            visitor = await self.market.browser(None)
            self.tell(await visitor.get(f"/vehicles/{vehicle_id}"))
        customer = f"/customers/{customer_id}"
        for service, path in (
            ("customers", customer),
            ("customers", f"{customer}?full=true"),
            ("customers", "/customers"),
            ("orders", "/orders"),
            ("orders", "/purchases"),
            ("payments", "/payments"),
            ("payouts", "/payouts"),
            ("portal", "/api/audits"),
            ("portal", "/api/submissions"),
            ("kpis", "/kpis/new_customers/value?month=2026-11"),
        ):
            self.tell(await self.ask(nosy, service, "GET", path))
        for name, client in self.market.services.items():
            self.left.told.append((await client.get("/metrics")).text)
            self.left.told.append(f"{name}: {(await client.get('/ready')).text}")

    async def ask(
        self, who: Any, service: str, method: str, path: str, **request: Any
    ) -> httpx.Response:
        return await self.market.ask(who, service, method, path, **request)

    def tell(self, answer: httpx.Response) -> None:
        self.left.told.append(f"{answer.request.url.path}: {answer.text}")


async def play(market: Market) -> None:
    """Complete one purchase, cancel a paid one, let one be declined, then erase the buyer."""
    vehicles = market.people["vehicles"]
    buyer, seller = await market.join("buyer", "buy"), await market.join("seller", "sell")
    customer_id = await market.become_customer(buyer)
    ids = [await market.sell(seller, n) for n in range(3)]
    await market.hand_in(seller)
    methods = ("tok_approve", "tok_approve", "tok_decline")
    orders = [
        await market.buy(buyer, vehicle_id, one["key"], method)
        for vehicle_id, one, method in zip(ids, vehicles, methods, strict=False)
    ]
    assert (await buyer.post(f"/purchases/{orders[0]}/pick-up")).status_code == 303
    assert (await buyer.post(f"/purchases/{orders[1]}/cancel")).status_code == 303
    await market.reach(orders[0], "CLOSED")
    await market.reach(orders[1], "CANCELLED")
    await market.look_around(customer_id, ids, orders)
    operator = market.operator
    erased = await market.ask(market.admin, "customers", "DELETE", f"/customers/{customer_id}")
    assert erased.status_code == 204, erased.text
    market.tell(await market.ask(operator, "customers", "GET", f"/customers/{customer_id}"))


async def run(place: dict[str, Any], spans: InMemorySpanExporter) -> None:
    databases = Databases(**place["databases"])
    settings = {"rabbitmq_url": place["vhost"], "outbox_retention_days": 1}
    async with open_market(databases, Path(place["folder"]), role="all", **settings) as opened:
        market = Market(opened, place["people"])
        await play(market)
    found = [span.to_json() for span in spans.get_finished_spans()]
    json.dump(
        {"told": market.left.told, "secrets": market.left.secrets, "spans": found}, sys.stdout
    )


if __name__ == "__main__":
    configure_logging("market", "DEBUG")
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    asyncio.run(run(json.loads(sys.argv[1]), exporter))
