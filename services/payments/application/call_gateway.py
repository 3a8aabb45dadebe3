"""The gateway is called outside of any transaction."""

from datetime import timedelta

from libs.kernel.calls import answer_within
from services.payments.application.ports import Gateway
from services.payments.domain.gateway import Answer
from services.payments.domain.payment import Payment, State


async def call_gateway(gateway: Gateway, payment: Payment, patience: timedelta) -> Answer:
    """Charge or refund the claimed payment. The key depends on the payment and on how many cards
    were declined: a call repeated after a lost answer, a crash or a time-out moves no money twice,
    and a new card makes a new request.
    """
    return await answer_within(patience, "gateway", _ask(gateway, payment))


async def _ask(gateway: Gateway, payment: Payment) -> Answer:
    if payment.amount_cents is None:
        raise ValueError("nothing to pay")
    if payment.state is State.PROCESSING:
        again = f"-{payment.declines + 1}" if payment.declines else ""
        return await gateway.charge(
            f"charge-{payment.payment_id}{again}",
            order_id=payment.order_id,
            amount_cents=payment.amount_cents,
            method=payment.method or "",
        )
    return await gateway.refund(
        f"refund-{payment.payment_id}",
        charge_reference=payment.charge_reference or "",
        amount_cents=payment.amount_cents,
    )
