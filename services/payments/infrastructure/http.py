"""Each endpoint parses, runs one use case and answers. `README.md` says who may call what."""

from collections.abc import Callable
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Query, Request, Response

from libs.messaging.outbox.unit_of_work import Transactions
from libs.runtime.auth import CallerDep
from libs.runtime.concurrency import OptionalIfMatchDep
from libs.runtime.declared import ETAG, LOCATION, answers
from libs.runtime.idempotency import (
    Answer,
    Idempotency,
    IdempotentCallDep,
    RequiredIdempotentCallDep,
    respond,
)
from libs.runtime.pagination import PageDep
from libs.runtime.routes import api_router
from services.payments.application.pay_code import pay_code
from services.payments.application.retry_refund import retry_refund
from services.payments.application.settle_charge import ChargeSettlement, settle_charge
from services.payments.application.settle_refund import Settlement, settle_refund
from services.payments.domain.code import parse_code
from services.payments.domain.errors import PaymentCodeNotFound, PaymentNotFound
from services.payments.domain.payment import Payment, State
from services.payments.infrastructure.access import OPERATOR, visible, visible_code
from services.payments.infrastructure.postgres import PostgresPaymentsUnitOfWork
from services.payments.infrastructure.schemas import (
    AcceptedOut,
    ChargeSettlementRequest,
    CodeOut,
    CodeRequest,
    PaymentOut,
    PaymentPage,
    PaymentRequest,
    SettlementRequest,
)
from services.payments.infrastructure.tables import IDEMPOTENCY

NeedsAttention = Annotated[
    bool | None, Query(description="Whether the last event asks for a person")
]


class Endpoints:
    def __init__(
        self,
        transactions: Transactions[PostgresPaymentsUnitOfWork],
        wake_gateway: Callable[[], None],
        card_tries: int,
    ) -> None:
        self._transactions = transactions
        self._idempotency = Idempotency(transactions, IDEMPOTENCY)
        self._wake_gateway = wake_gateway
        self._card_tries = card_tries

    @answers(ETAG)
    async def request_code(
        self, body: CodeRequest, caller: CallerDep, call: IdempotentCallDep
    ) -> Response:
        """Return the payment code of a purchase. It exists as soon as the vehicle is reserved."""
        may_see = visible(caller)

        async def work(uow: PostgresPaymentsUnitOfWork) -> Answer:
            payment = await uow.payments.find_by_order(caller.tenant_id, body.order_id)
            if payment is None or payment.code is None or not may_see(payment):
                raise PaymentCodeNotFound("order_id")
            return self._code_answer(payment)

        return await self._idempotency.run(call, work)

    @answers(ETAG)
    async def read_code(
        self, code: Annotated[str, Path(max_length=64)], caller: CallerDep
    ) -> Response:
        """Return the code as a person typed it: case, spaces and dashes do not matter."""
        may_see, typed = visible_code(caller), parse_code(code)
        payment = await self._transactions.read(
            lambda uow: uow.payments.find_by_code(caller.tenant_id, typed)
        )
        if payment is None or not may_see(payment):
            raise PaymentCodeNotFound("code")
        return respond(self._code_answer(payment))

    @answers(ETAG, LOCATION)
    async def pay(
        self, body: PaymentRequest, caller: CallerDep, call: RequiredIdempotentCallDep
    ) -> Response:
        """Pay a code. The gateway is called after the answer; paying twice charges once. After a
        declined card the code can be paid again with a new key, as long as it has `tries_left`.
        """
        may_see = visible(caller)

        async def work(uow: PostgresPaymentsUnitOfWork) -> Answer:
            payment = await pay_code(
                uow,
                tenant_id=caller.tenant_id,
                code=body.code,
                method=body.method,
                may_see=may_see,
            )
            accepted = AcceptedOut.model_validate(payment, from_attributes=True)
            return Answer(202, accepted, payment.version, f"/payments/{payment.payment_id}")

        response = await self._idempotency.run(call, work)
        self._wake_gateway()
        return response

    @answers(ETAG)
    async def read_payment(self, payment_id: UUID, caller: CallerDep) -> Response:
        """Return one payment: a buyer's own, or any of the tenant for an operator."""
        may_see = visible(caller)
        payment = await self._transactions.read(
            lambda uow: uow.payments.find(caller.tenant_id, payment_id)
        )
        if payment is None or not may_see(payment):
            raise PaymentNotFound
        return respond(_payment_answer(payment))

    async def list_payments(
        self,
        request: Request,
        caller: CallerDep,
        page: PageDep,
        state: State | None = None,
        needs_attention: NeedsAttention = None,
    ) -> Response:
        """List all payments of the tenant, oldest first."""
        caller.require(OPERATOR)
        after = UUID(page.after[0]) if page.after else None
        found = await self._transactions.read(
            lambda uow: uow.payments.page(
                caller.tenant_id,
                after,
                page.limit + 1,
                state=state,
                needs_attention=needs_attention,
            )
        )
        shown = [_out(payment) for payment in found[: page.limit]]
        more = len(found) > page.limit
        return page.answer(shown, (shown[-1].payment_id,) if more else None, request)

    @answers(ETAG)
    async def retry(
        self,
        payment_id: UUID,
        caller: CallerDep,
        version: OptionalIfMatchDep,
        call: IdempotentCallDep,
    ) -> Response:
        """Call the gateway for a failed refund again, now."""
        caller.require(OPERATOR)

        async def work(uow: PostgresPaymentsUnitOfWork) -> Answer:
            return _payment_answer(
                await retry_refund(
                    uow, tenant_id=caller.tenant_id, payment_id=payment_id, version=version
                ),
                status=202,
            )

        response = await self._idempotency.run(call, work)
        self._wake_gateway()
        return response

    @answers(ETAG)
    async def settle(
        self,
        payment_id: UUID,
        body: SettlementRequest,
        caller: CallerDep,
        version: OptionalIfMatchDep,
        call: IdempotentCallDep,
    ) -> Response:
        """Record that a person paid a failed refund outside the gateway."""
        caller.require(OPERATOR)
        settlement = Settlement(reference=body.reference, note=body.note, by=caller.subject)

        async def work(uow: PostgresPaymentsUnitOfWork) -> Answer:
            return _payment_answer(
                await settle_refund(
                    uow,
                    tenant_id=caller.tenant_id,
                    payment_id=payment_id,
                    version=version,
                    settlement=settlement,
                )
            )

        return await self._idempotency.run(call, work)

    @answers(ETAG)
    async def settle_unanswered(
        self,
        payment_id: UUID,
        body: ChargeSettlementRequest,
        caller: CallerDep,
        version: OptionalIfMatchDep,
        call: IdempotentCallDep,
    ) -> Response:
        """Record whether the gateway made a charge that it leaves unanswered. Look there before."""
        caller.require(OPERATOR)
        settlement = ChargeSettlement(reference=body.reference, note=body.note, by=caller.subject)

        async def work(uow: PostgresPaymentsUnitOfWork) -> Answer:
            return _payment_answer(
                await settle_charge(
                    uow,
                    tenant_id=caller.tenant_id,
                    payment_id=payment_id,
                    version=version,
                    settlement=settlement,
                )
            )

        response = await self._idempotency.run(call, work)
        self._wake_gateway()
        return response

    def _code_answer(self, payment: Payment) -> Answer:
        return Answer(200, CodeOut.of(payment, self._card_tries), payment.version)


def router(
    transactions: Transactions[PostgresPaymentsUnitOfWork],
    wake_gateway: Callable[[], None],
    card_tries: int,
) -> APIRouter:
    routes = api_router(tags=["payments"])
    to = Endpoints(transactions, wake_gateway, card_tries)
    routes.post("/payment-codes", response_model=CodeOut, operation_id="find_payment_code")(
        to.request_code
    )
    routes.get("/payment-codes/{code}", response_model=CodeOut, operation_id="get_payment_code")(
        to.read_code
    )
    routes.post("/payments", status_code=202, response_model=AcceptedOut, operation_id="pay")(
        to.pay
    )
    routes.get("/payments", response_model=PaymentPage, operation_id="list_payments")(
        to.list_payments
    )
    routes.get("/payments/{payment_id}", response_model=PaymentOut, operation_id="get_payment")(
        to.read_payment
    )
    charge = "/payments/{payment_id}/charge"
    routes.post(f"{charge}/settle", response_model=PaymentOut, operation_id="settle_charge")(
        to.settle_unanswered
    )
    refund = "/payments/{payment_id}/refund"
    routes.post(
        f"{refund}/retry", status_code=202, response_model=PaymentOut, operation_id="retry_refund"
    )(to.retry)
    routes.post(f"{refund}/settle", response_model=PaymentOut, operation_id="settle_refund")(
        to.settle
    )
    return routes


def _payment_answer(payment: Payment, status: int = 200) -> Answer:
    return Answer(status, _out(payment), payment.version)


def _out(payment: Payment) -> PaymentOut:
    return PaymentOut.model_validate(payment, from_attributes=True)
