"""Breaks rules of the figures, the timelines and the payouts."""

from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any
from unittest.mock import patch

from libs.kernel.calls import Unanswered
from services.kpis.infrastructure.read_model import FOLDS
from services.payouts.domain.bank import Refused
from services.payouts.domain.payout import Payout, Status
from tests.simulation import views
from tests.simulation.mutations.registry import mutation
from tests.unit.payouts.memory import MemoryBank


@mutation("the figures follow the event consumed last, whatever its sequence")
def sequence_ignored() -> AbstractContextManager[object]:
    rightly = views.upsert

    def careless(rows: Any, fold: Any, row: Any) -> None:
        there = rows.get(row["subject"], {})
        if fold.newest:
            rows[row["subject"]] = {**there, "sequence": 0}
        rightly(rows, fold, row) if there else rows.update({row["subject"]: row})

    return patch.object(views, "upsert", careless)


@mutation("a sale after its reversal counts in the figures")
def reversal_undone() -> AbstractContextManager[object]:
    return _also_sets("order.completed.v1", outcome=None)


@mutation("a reversal before its sale is lost from the figures")
def early_reversal_lost() -> AbstractContextManager[object]:
    return _lost_without_a_row("order.failed.v1", "order.cancelled.v1")


@mutation("a closing after its payout takes the payout's status from the figures")
def status_taken_back() -> AbstractContextManager[object]:
    return _also_sets("order.closed.v1", status=None)


@mutation("a payout before its closing is lost from the figures")
def early_payout_lost() -> AbstractContextManager[object]:
    return _lost_without_a_row("payout.completed.v1", "payout.failed.v1")


@mutation("a withdrawal before its listing is lost from the figures")
def early_withdrawal_lost() -> AbstractContextManager[object]:
    return _lost_without_a_row("vehicle.withdrawn.v1")


@mutation("the state in a timeline follows the event consumed last")
def timeline_follows_the_last() -> AbstractContextManager[object]:
    rightly = views._raised

    def careless(old: Any, new: Any) -> Any:
        before = old and {**old, "sequence": min(old["sequence"], new["sequence"] - 1)}
        return rightly(before if new["sequence"] else old, new)

    return patch.object(views, "_raised", careless)


@mutation("a no after the bank has paid fails the payout")
def paid_and_failed() -> AbstractContextManager[object]:
    rightly = Payout.answered

    def careless(self: Payout, answer: Any, claim: Any, policy: Any) -> Any:
        if self.status is Status.PAID and isinstance(answer, Refused):
            self.status, self.claim = Status.PENDING, claim
        return rightly(self, answer, claim, policy)

    return patch.object(Payout, "answered", careless)


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
        silent = isinstance(answer, Unanswered)
        taken = Refused("silent", for_good=True) if silent else answer
        return rightly(self, taken, claim, policy)

    return patch.object(Payout, "answered", hasty)


def _also_sets(event_type: str, **columns: Any) -> AbstractContextManager[object]:
    """Let the event also set these columns of the figures, which belong to another event."""
    fold = FOLDS[event_type]

    def values(fact: Any) -> Any:
        found = fold.values(fact)
        return None if found is None else found | columns

    return patch.dict(FOLDS, {event_type: replace(fold, values=values)})


def _lost_without_a_row(*event_types: str) -> AbstractContextManager[object]:
    """Let events of these types change a row of the figures, and never begin one."""
    rightly = views.upsert
    lost = [FOLDS[event_type].values for event_type in event_types]

    def careless(rows: Any, fold: Any, row: Any) -> None:
        if fold.values not in lost or row["subject"] in rows:
            rightly(rows, fold, row)

    return patch.object(views, "upsert", careless)
