"""One call of the gateway, outside of any transaction."""

import asyncio
from datetime import timedelta

from services.payments.application.ports import Gateway
from services.payments.domain.gateway import Answer, Unanswered
from services.payments.domain.payment import Payment, State


async def call_gateway(gateway: Gateway, payment: Payment, patience: timedelta) -> Answer:
    """Charge or refund the claimed payment. The key depends on the payment and on how many cards
    were declined: a call repeated after a lost answer, a crash or a time-out moves no money twice,
    and a new card makes a new request.

    Every error counts as an answer too: Unanswered.
    """
    try:
        async with asyncio.timeout(patience.total_seconds()):
            return await _ask(gateway, payment)
    except Exception as error:
        return Unanswered(f"the gateway did not answer: {type(error).__name__}")


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
