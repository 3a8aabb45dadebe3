"""Rules of those who come after: figures and payouts, broken."""

from contextlib import AbstractContextManager
from typing import Any
from unittest.mock import patch

from services.payouts.domain.bank import Refused
from services.payouts.domain.bank import Unanswered as BankSilent
from services.payouts.domain.payout import Payout
from tests.simulation import views
from tests.simulation.mutations.registry import mutation
from tests.unit.payouts.memory import MemoryBank


@mutation("the figures follow the event heard last, whatever its sequence")
def sequence_ignored() -> AbstractContextManager[object]:
    rightly = views.upsert

    def careless(rows: Any, fold: Any, row: Any) -> None:
        there = rows.get(row["subject"], {})
        if fold.newest:
            rows[row["subject"]] = {**there, "sequence": 0}
        rightly(rows, fold, row) if there else rows.update({row["subject"]: row})

    return patch.object(views, "upsert", careless)


@mutation("each try to pay a seller has a key of its own")
def seller_paid_twice() -> AbstractContextManager[object]:
    rightly = MemoryBank.pay

    async def forgetful(self: MemoryBank, key: str, **what: Any) -> Any:
        return await rightly(self, f"{key}-{len(self.keys)}", **what)

    return patch.object(MemoryBank, "pay", forgetful)


@mutation("the bank's silence is taken for a no")
def silent_bank_is_no() -> AbstractContextManager[object]:
    rightly = Payout.answered

    def hasty(self: Payout, answer: Any, claim: Any, policy: Any) -> Any:
        silent = isinstance(answer, BankSilent)
        heard = Refused("silent", for_good=True) if silent else answer
        return rightly(self, heard, claim, policy)

    return patch.object(Payout, "answered", hasty)
