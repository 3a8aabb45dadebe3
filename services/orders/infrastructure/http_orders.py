"""Clients create, confirm, close and read `/orders`. They must name the tenant."""

from functools import partial
from uuid import UUID

from fastapi import APIRouter, Request, Response

from libs.kernel.clock import utc_now
from libs.kernel.ids import uuid7
from libs.messaging.outbox.unit_of_work import Transactions
from libs.runtime.auth import TenantCallerDep
from libs.runtime.concurrency import IfMatchDep, OptionalIfMatchDep
from libs.runtime.declared import ETAG, LOCATION, answers
from libs.runtime.idempotency import Answer, Idempotency, RequiredIdempotentCallDep, respond
from libs.runtime.pagination import PageDep
from libs.runtime.routes import api_router
from services.orders.application.close_order import close_order
from services.orders.application.confirm_order import confirm_order
from services.orders.application.create_order import create_order
from services.orders.domain.order import Order
from services.orders.infrastructure import access
from services.orders.infrastructure.postgres import PostgresOrdersUnitOfWork
from services.orders.infrastructure.schemas import Confirmation, NewOrder, OrderOut, OrderPage
from services.orders.infrastructure.tables import IDEMPOTENCY


class Endpoints:
    def __init__(self, transactions: Transactions[PostgresOrdersUnitOfWork]) -> None:
        self._transactions = transactions
        self._idempotency = Idempotency(transactions, IDEMPOTENCY)

    @answers(ETAG, LOCATION)
    async def create(
        self, body: NewOrder, caller: TenantCallerDep, call: RequiredIdempotentCallDep
    ) -> Response:
        """Create a draft."""
        access.may_order(caller, body.customer_id)

        async def work(uow: PostgresOrdersUnitOfWork) -> Answer:
            order = await create_order(
                uow,
                order_id=uuid7(),
                tenant_id=caller.tenant_id,
                customer_id=body.customer_id,
                vehicle_id=body.vehicle_id,
                now=utc_now(),
            )
            return _answer(order, status=201, location=f"/orders/{order.id}")

        return await self._idempotency.run(call, work)

    @answers(ETAG)
    async def confirm(
        self, order_id: UUID, body: Confirmation, caller: TenantCallerDep, version: IfMatchDep
    ) -> Response:
        """Confirm a draft; with a customer and a vehicle the purchase begins."""
        scope = access.writable(caller)

        async def work(uow: PostgresOrdersUnitOfWork) -> Order:
            order = await confirm_order(
                uow,
                scope=scope,
                order_id=order_id,
                expected_version=version,
                price_cents=body.total_cents,
                now=utc_now(),
            )
            access.may_order(caller, order.customer_id)
            return order

        return respond(_answer(await self._transactions.run(work)))

    @answers(ETAG)
    async def close(
        self, order_id: UUID, caller: TenantCallerDep, version: OptionalIfMatchDep
    ) -> Response:
        """Close an order whose vehicle was picked up: it cannot be cancelled any more."""
        work = partial(
            close_order,
            scope=access.closable(caller),
            order_id=order_id,
            expected_version=version,
            now=utc_now(),
        )
        return respond(_answer(await self._transactions.run(work)))

    async def find(self, request: Request, caller: TenantCallerDep, page: PageDep) -> Response:
        """List the orders that the caller may read, newest first."""
        scope = access.readable(caller)
        after = None if page.after is None else UUID(page.after[0])
        found = await self._transactions.read(
            lambda uow: uow.orders.page(scope, after, page.limit + 1)
        )
        orders = found[: page.limit]
        following = (orders[-1].id,) if len(found) > page.limit else None
        return page.answer([OrderOut.of(order) for order in orders], following, request)

    @answers(ETAG)
    async def show(self, order_id: UUID, caller: TenantCallerDep) -> Response:
        """Return one order: a buyer's own, or any of the tenant for an operator or admin."""
        scope = access.readable(caller)
        found = await self._transactions.read(lambda uow: uow.orders.get(scope, order_id))
        return respond(_answer(found))


def orders_router(transactions: Transactions[PostgresOrdersUnitOfWork]) -> APIRouter:
    routes, to = api_router(prefix="/orders", tags=["orders"]), Endpoints(transactions)
    one = "/{order_id}"
    routes.post("", status_code=201, response_model=OrderOut, operation_id="create_order")(
        to.create
    )
    routes.patch(f"{one}/confirm", response_model=OrderOut, operation_id="confirm_order")(
        to.confirm
    )
    routes.post(f"{one}/close", response_model=OrderOut, operation_id="close_order")(to.close)
    routes.get("", response_model=OrderPage, operation_id="list_orders")(to.find)
    routes.get(one, response_model=OrderOut, operation_id="get_order")(to.show)
    return routes


def _answer(order: Order, *, status: int = 200, location: str | None = None) -> Answer:
    return Answer(status, OrderOut.of(order), version=order.version, location=location)
