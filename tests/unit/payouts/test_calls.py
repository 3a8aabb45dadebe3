"""Every call for a payout has the same key, and an error of the bank is no answer."""

from datetime import timedelta
from uuid import UUID

from libs.kernel.calls import Unanswered
from services.payouts.application.call_bank import call_bank
from services.payouts.domain.payout import Payout, Status
from tests.unit.payouts.memory import MemoryBank

PATIENCE = timedelta(seconds=1)


def payout(status: Status = Status.PENDING, attempts: int = 1) -> Payout:
    return Payout(
        payout_id=UUID(int=2),
        tenant_id="default",
        external_id="bonus-1",
        amount_cents=500,
        status=status,
        attempts=attempts,
    )


async def test_bank_that_fails_has_not_answered() -> None:
    answer = await call_bank(MemoryBank("silent before"), payout(), PATIENCE)
    assert answer == Unanswered("the bank did not answer: ConnectionError")


async def test_every_call_for_a_payout_has_the_same_key_whatever_became_of_it() -> None:
    bank = MemoryBank()
    for asked in (payout(), payout(attempts=9), payout(Status.FAILED)):
        await call_bank(bank, asked, PATIENCE)
    assert set(bank.keys) == {f"payout-{UUID(int=2)}"}
