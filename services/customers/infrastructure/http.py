"""Each endpoint parses, runs one use case and answers. `README.md` says who may call what."""

from datetime import datetime
from functools import partial
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response

from libs.kernel.clock import utc_now
from libs.kernel.ids import uuid7
from libs.messaging.outbox.unit_of_work import Transactions
from libs.runtime.auth import CallerDep
from libs.runtime.concurrency import IfMatchDep
from libs.runtime.declared import ETAG, LOCATION, answers
from libs.runtime.idempotency import Answer, Idempotency, IdempotentCallDep, respond
from libs.runtime.pagination import PageDep
from libs.runtime.routes import api_router
from services.customers.application.ask_for_credit import ask_for_credit
from services.customers.application.change_credit_limit import change_credit_limit
from services.customers.application.decline_credit import decline_credit
from services.customers.application.edit_customer import edit_customer
from services.customers.application.erase_customer import erase_customer
from services.customers.application.find_customers import find_customers
from services.customers.application.ports import ErasureLedger
from services.customers.application.register_customer import register_customer
from services.customers.application.register_user import register_user
from services.customers.domain.customer import Customer
from services.customers.infrastructure import access
from services.customers.infrastructure.postgres import PostgresCustomersUnitOfWork
from services.customers.infrastructure.schemas import (
    CreditLimitIn,
    CreditRequestIn,
    CustomerChanges,
    CustomerIn,
    CustomerOut,
    CustomerPage,
    CustomerSearch,
    CustomersOut,
    OwnCustomerIn,
)
from services.customers.infrastructure.tables import IDEMPOTENCY


class Endpoints:
    def __init__(
        self,
        transactions: Transactions[PostgresCustomersUnitOfWork],
        ledger: ErasureLedger,
        starting_limit_cents: int,
    ) -> None:
        self._transactions = transactions
        self._idempotency = Idempotency(transactions, IDEMPOTENCY)
        self._ledger = ledger
        self._starting_limit_cents = starting_limit_cents

    @answers(ETAG, LOCATION)
    async def register(
        self, body: CustomerIn, caller: CallerDep, call: IdempotentCallDep
    ) -> Response:
        """Register a customer. Only an admin may send a credit limit. Without one, a buyer gets the
        starting limit, and a customer whom an admin registers gets 0.
        """
        access.may_register(caller, body.credit_limit_cents)
        limit_cents = body.credit_limit_cents
        if not caller.may(access.ADMIN):
            limit_cents = self._starting_limit_cents

        async def work(uow: PostgresCustomersUnitOfWork) -> Answer:
            customer = await register_customer(
                uow,
                customer_id=uuid7(),
                tenant_id=caller.tenant_id,
                personal=body.personal(),
                credit_limit_cents=limit_cents,
                now=utc_now(),
            )
            # The answer is masked even for the sender, because it is stored to be replayed.
            return _answer(customer, status=201, location=f"/customers/{customer.id}")

        return await self._idempotency.run(call, work)

    @answers(ETAG)
    async def register_own(self, user_id: UUID, body: OwnCustomerIn, caller: CallerDep) -> Response:
        """Make a user's own customer record, with the starting limit. Sent again it is the same
        record with the newest name, e-mail and phone; the document and the limit do not change.
        """
        access.may_register_user(caller, user_id)
        customer_id = uuid7()
        work = partial(
            register_user,
            customer_id=customer_id,
            tenant_id=caller.tenant_id,
            user_id=user_id,
            personal=body.personal(),
            starting_limit_cents=self._starting_limit_cents,
            now=utc_now(),
        )
        customer = await self._transactions.run(work)
        if customer.id != customer_id:
            return respond(_answer(customer))
        return respond(_answer(customer, status=201, location=f"/customers/{customer.id}"))

    async def list_newest(self, request: Request, caller: CallerDep, page: PageDep) -> Response:
        """List the tenant's customers, newest first, masked. Operator or admin."""
        caller.require(access.OPERATOR, access.ADMIN)
        after = None if page.after is None else UUID(page.after[0])
        found = await self._transactions.read(
            lambda uow: uow.customers.page(caller.tenant_id, after, page.limit + 1)
        )
        shown = found[: page.limit]
        next_after = (shown[-1].id,) if len(found) > page.limit else None
        return page.answer([CustomerOut.of(customer) for customer in shown], next_after, request)

    async def search(self, body: CustomerSearch, caller: CallerDep) -> CustomersOut:
        """Find customers by the exact document or e-mail, masked. Operator or admin."""
        caller.require(access.OPERATOR, access.ADMIN)
        work = partial(
            find_customers, tenant_id=caller.tenant_id, document=body.document, email=body.email
        )
        found = await self._transactions.read(work)
        return CustomersOut(items=[CustomerOut.of(customer) for customer in found])

    @answers(ETAG)
    async def show(
        self,
        customer_id: UUID,
        caller: CallerDep,
        full: Annotated[bool, Query(description="Unmasked: the customer's own, or admin.")] = False,
    ) -> Response:
        """Return one customer, masked: a buyer's own, or any of the tenant for an operator or
        admin.
        """
        access.may_read(caller, customer_id, full=full)
        customer = await self._transactions.read(
            lambda uow: uow.customers.get(caller.tenant_id, customer_id)
        )
        return respond(_answer(customer, full=full))

    @answers(ETAG)
    async def edit(
        self, customer_id: UUID, body: CustomerChanges, caller: CallerDep, version: IfMatchDep
    ) -> Response:
        """Change name, e-mail or phone. The document cannot change."""
        access.may_edit(caller, customer_id)
        work = partial(
            edit_customer,
            tenant_id=caller.tenant_id,
            customer_id=customer_id,
            expected_version=version,
            changes=body.model_dump(exclude_unset=True),
            now=utc_now(),
        )
        return respond(_answer(await self._transactions.run(work)))

    @answers(ETAG)
    async def set_limit(
        self, customer_id: UUID, body: CreditLimitIn, caller: CallerDep, version: IfMatchDep
    ) -> Response:
        """Set the credit limit. It cannot be below what is reserved and consumed. Admin."""
        caller.require(access.ADMIN)
        work = partial(
            change_credit_limit,
            tenant_id=caller.tenant_id,
            customer_id=customer_id,
            expected_version=version,
            limit_cents=body.limit_cents,
            now=utc_now(),
        )
        return respond(_answer(await self._transactions.run(work)))

    @answers(ETAG)
    async def ask_for_credit(
        self, customer_id: UUID, body: CreditRequestIn, caller: CallerDep
    ) -> Response:
        """Request a higher limit. The newest request replaces those before it."""
        access.may_ask_for_credit(caller, customer_id)
        work = partial(
            ask_for_credit,
            tenant_id=caller.tenant_id,
            customer_id=customer_id,
            wanted_cents=body.wanted_limit_cents,
            now=utc_now(),
        )
        return respond(_answer(await self._transactions.run(work)))

    @answers(ETAG)
    async def decline_credit(
        self, customer_id: UUID, caller: CallerDep, version: IfMatchDep
    ) -> Response:
        """Decline the request for credit. A new limit grants it. Admin."""
        caller.require(access.ADMIN)
        work = partial(
            decline_credit,
            tenant_id=caller.tenant_id,
            customer_id=customer_id,
            expected_version=version,
            now=utc_now(),
        )
        return respond(_answer(await self._transactions.run(work)))

    async def list_credit_requests(
        self,
        request: Request,
        caller: CallerDep,
        page: PageDep,
        full: Annotated[bool, Query(description="Unmasked; admin only.")] = False,
    ) -> Response:
        """List customers who wait for an answer to their request, the longest first, masked.
        Operator or admin.
        """
        caller.require(access.ADMIN, *(() if full else (access.OPERATOR,)))
        after = None if page.after is None else _asked(*page.after)
        found = await self._transactions.read(
            lambda uow: uow.customers.page_of_requests(caller.tenant_id, after, page.limit + 1)
        )
        shown = found[: page.limit]
        next_after = _place(shown[-1]) if len(found) > page.limit else None
        items = [CustomerOut.of(customer, full=full) for customer in shown]
        return page.answer(items, next_after, request)

    async def erase(self, customer_id: UUID, caller: CallerDep) -> Response:
        """Destroy the personal data for good. This is refused while a purchase is open. Admin."""
        caller.require(access.ADMIN)
        work = partial(
            erase_customer,
            ledger=self._ledger,
            tenant_id=caller.tenant_id,
            customer_id=customer_id,
            now=utc_now(),
        )
        await self._transactions.run(work)
        return Response(status_code=204)


def router(
    transactions: Transactions[PostgresCustomersUnitOfWork],
    ledger: ErasureLedger,
    starting_limit_cents: int,
) -> APIRouter:
    routes = api_router(tags=["customers"])
    to = Endpoints(transactions, ledger, starting_limit_cents)
    routes.post(
        "/customers", status_code=201, response_model=CustomerOut, operation_id="register_customer"
    )(to.register)
    routes.get("/customers", response_model=CustomerPage, operation_id="list_customers")(
        to.list_newest
    )
    routes.post("/customers/search", response_model=CustomersOut, operation_id="search_customers")(
        to.search
    )
    routes.put(
        "/users/{user_id}/customer",
        status_code=201,
        response_model=CustomerOut,
        responses={200: {"model": CustomerOut, "description": "The record there is"}},
        operation_id="register_own_customer",
    )(to.register_own)
    one = "/customers/{customer_id}"
    routes.get(one, response_model=CustomerOut, operation_id="get_customer")(to.show)
    routes.patch(one, response_model=CustomerOut, operation_id="change_customer")(to.edit)
    routes.put(f"{one}/credit-limit", response_model=CustomerOut, operation_id="set_credit_limit")(
        to.set_limit
    )
    asking = f"{one}/credit-request"
    routes.put(asking, response_model=CustomerOut, operation_id="ask_for_credit")(to.ask_for_credit)
    routes.post(f"{asking}/decline", response_model=CustomerOut, operation_id="decline_credit")(
        to.decline_credit
    )
    routes.get(
        "/credit-requests", response_model=CustomerPage, operation_id="list_credit_requests"
    )(to.list_credit_requests)
    routes.delete(one, status_code=204, operation_id="erase_customer")(to.erase)
    return routes


def _place(asking: Customer) -> tuple[object, ...]:
    """Return the cursor's position in the list of customers who have requested credit."""
    return (asking.credit_request and asking.credit_request.asked_at, asking.id)


def _asked(asked_at: str, customer_id: str) -> tuple[datetime, UUID]:
    return datetime.fromisoformat(asked_at), UUID(customer_id)


def _answer(
    customer: Customer, *, status: int = 200, full: bool = False, location: str | None = None
) -> Answer:
    body = CustomerOut.of(customer, full=full)
    return Answer(status=status, body=body, version=customer.version, location=location)
