"""Makes one object of each kind, when a path or a body first names it."""

import json
import uuid
from collections.abc import Awaitable, Callable
from string import Formatter
from typing import Any
from uuid import UUID

import asyncpg
from validate_docbr import CPF, RENAVAM

from deploy.demo.market import random_chassis_number, random_plate
from libs.kernel.clock import utc_now
from libs.kernel.ids import uuid7
from services.portal.application.begin_submission import begin_submission
from services.portal.application.hand_in_submission import hand_in_submission
from services.portal.domain.audit import Act
from services.portal.domain.user import User
from tests.fixtures.whole_market import WholeMarket, person

PRICE = 4_500_000
GIVE_UP = """
INSERT INTO outbox (id, subject, type, body, attempts, due_at, error)
VALUES ($1, gen_random_uuid(), 'thing.made.v1', $2, 1, 'infinity', 'older')
"""


def new_customer() -> dict[str, Any]:
    return {
        "name": "Maria Souza",
        "email": f"{uuid.uuid4().hex}@example.com",
        "phone": "+5511987654321",
        "document": CPF().generate(),
    }


def new_vehicle(seller_id: UUID) -> dict[str, Any]:
    return {
        "make": "Fiat",
        "model": "Strada",
        "year": 2022,
        "colour": "prata",
        "price_cents": PRICE,
        "plate": random_plate(),
        "chassis_number": random_chassis_number(),
        "renavam": RENAVAM().generate(),
        "seller_id": str(seller_id),
    }


class Things:
    """`Things` are the objects of one tenant. Its buyer and its seller own theirs."""

    def __init__(self, market: WholeMarket, tenant: str | None = None) -> None:
        self.market = market
        self.tenant = tenant or f"tenant-{uuid.uuid4().hex[:12]}"
        self.customer_id = uuid7()
        self.admin = person("admin", tenant=self.tenant)
        self.operator = person("operator", tenant=self.tenant)
        self.seller = person("seller", tenant=self.tenant)
        self._made: dict[str, str] = {}

    @property
    def buyer(self) -> User:
        """Return the buyer. Raises LookupError until the customer is known."""
        if self._buyer is None:
            raise LookupError("ask for the customer first")
        return self._buyer

    _buyer: User | None = None

    async def begin(self) -> "Things":
        """Register the buyer's customer record, which makes the buyer known."""
        body = new_customer() | {"credit_limit_cents": 2 * PRICE}
        made = await self.market.make(self.admin, "customers", "/customers", body)
        self.customer_id = UUID(made["id"])
        self._buyer = person("buyer", tenant=self.tenant, customer_id=self.customer_id)
        return self

    async def path(self, template: str) -> str:
        """Return the path with the id of a thing in place of each name."""
        names = [name for _, name, _, _ in Formatter().parse(template) if name]
        if "event_id" in names:  # once released, it is no longer given up
            self._made.pop("event_id", None)
        return template.format_map({name: await self.id(name) for name in names})

    async def id(self, name: str) -> str:
        if name not in self._made:
            make: Callable[[], Awaitable[str]] = getattr(self, f"_{name}")
            self._made[name] = await make()
        return self._made[name]

    async def _customer_id(self) -> str:
        return str(self.customer_id)

    async def _asking_id(self) -> str:
        """Return the id of a customer with an open request for credit."""
        made = await self.market.make(self.admin, "customers", "/customers", new_customer())
        path = f"/customers/{made['id']}/credit-request"
        body = {"wanted_limit_cents": PRICE}
        asked = await self.market.ask(self.admin, "customers", "PUT", path, json=body)
        assert asked.is_success, asked.text
        return str(made["id"])

    async def _buyer_id(self) -> str:
        return str(self.buyer.id)

    async def _seller_id(self) -> str:
        await self.id("vehicle_id")
        return str(self.seller.id)

    async def _vehicle_id(self) -> str:
        body = new_vehicle(self.seller.id)
        made = await self.market.make(self.admin, "vehicles", "/vehicles", body)
        return str(made["id"])

    async def _draft_id(self) -> str:
        body = {"customerId": str(self.customer_id), "vehicleId": await self.id("vehicle_id")}
        made = await self.market.make(self.buyer, "orders", "/orders", body)
        return str(made["id"])

    async def _order_id(self) -> str:
        order_id = await self.id("transaction_id")
        consumed = ("order.confirmed.v1", "order.failed.v1")  # the stream has an end
        for sequence, event_type in enumerate(consumed, start=1):
            await self.market.consumes(
                "portal",
                event_type,
                UUID(order_id),
                self.tenant,
                sequence=sequence,
                customer_id=str(self.customer_id),
                total_cents=PRICE,
            )
        return order_id

    async def _transaction_id(self) -> str:
        body = {
            "customer_id": str(self.customer_id),
            "vehicle_id": await self.id("vehicle_id"),
            "total_cents": PRICE,
        }
        made = await self.market.make(self.buyer, "orders", "/purchase", body)
        return str(made["transaction_id"])

    async def _code(self) -> str:
        order_id = UUID(await self.id("order_id"))
        await self.market.consumes(
            "payments",
            "vehicle.reserved.v1",
            order_id,
            self.tenant,
            customer_id=self.customer_id,
            price_cents=PRICE,
        )
        body = {"order_id": str(order_id)}
        made = await self.market.make(self.buyer, "payments", "/payment-codes", body)
        self._made["payment_id"] = str(made["payment_id"])
        return str(made["code"])

    async def _payment_id(self) -> str:
        await self.id("code")
        return self._made["payment_id"]

    async def _external_id(self) -> str:
        body = {
            "external_id": f"bonus-{uuid.uuid4().hex}",
            "amount_cents": 100,
            "seller_id": str(self.seller.id),
        }
        await self.market.make(self.admin, "payouts", "/payouts", body)
        return str(body["external_id"])

    async def _kpi_id(self) -> str:
        body = {"id": f"kpi_{uuid.uuid4().hex}", "name": "n", "sql_template": "SELECT 1 AS one"}
        made = await self.market.make(self.admin, "kpis", "/kpis", body)
        return str(made["id"])

    async def _event_id(self) -> str:
        """Write a given-up event to the outbox of every service that publishes. Returns its id."""
        event_id = uuid7()
        body = json.dumps({"id": str(event_id), "tenantid": self.tenant}).encode()
        for name, client in self.market.services.items():
            if client.service.participant.publishes:
                database = await asyncpg.connect(self.market.databases.superuser(name))
                try:
                    await database.execute(GIVE_UP, event_id, body)
                finally:
                    await database.close()
        return str(event_id)

    async def _submission_id(self) -> str:
        async def work(uow: Any) -> UUID:
            made = await hand_in_submission(
                uow,
                tenant_id=self.tenant,
                user_id=self.seller.id,
                kind="vehicles",
                name="vehicles.csv",
                total=1,
                content=b"",
                new_id=uuid7,
                now=utc_now(),
            )
            await begin_submission(
                uow,
                act=Act(self.tenant, str(made.user_id), uuid7(), utc_now()),
                submission_id=made.id,
            )
            return made.id

        return str(await self.market.services["portal"].service.transactions.run(work))

    async def _user_id(self) -> str:
        known = await self.market.signed_up(person("buyer", tenant=self.tenant))
        return str(known.id)
