"""The bank is called outside of any transaction."""

from datetime import timedelta

from libs.kernel.calls import answer_within
from services.payouts.application.ports import Bank
from services.payouts.domain.bank import Answer
from services.payouts.domain.payout import Payout


async def call_bank(bank: Bank, payout: Payout, patience: timedelta) -> Answer:
    """Pay the claimed payout. The key depends on the payout alone, so that a call repeated after a
    lost answer, a crash, a time-out or a person's retry moves no money twice.
    """
    call = bank.pay(
        f"payout-{payout.payout_id}",
        external_id=payout.external_id,
        seller_id=payout.seller_id,
        amount_cents=payout.amount_cents,
    )
    return await answer_within(patience, "bank", call)
