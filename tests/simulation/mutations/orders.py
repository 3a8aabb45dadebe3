"""Breaks rules of the purchase."""

from contextlib import AbstractContextManager
from typing import Any
from unittest.mock import patch

from services.orders.domain.purchase import Purchase
from services.orders.domain.states import FORWARD, State
from tests.simulation.mutations.registry import mutation


@mutation("a purchase in compensation goes forward again")
def forward_again() -> AbstractContextManager[object]:
    rightly = Purchase._rise

    def eager(self: Purchase, state: State) -> bool:
        if self.state is not State.COMPENSATING:
            return rightly(self, state)
        self._enter(state)
        return True

    return patch.object(Purchase, "_rise", eager)


@mutation("a late event lowers the state of a purchase")
def state_falls() -> AbstractContextManager[object]:
    rightly = Purchase._rise

    def falling(self: Purchase, state: State) -> bool:
        if self.state not in FORWARD:
            return rightly(self, state)
        self._enter(state)
        return True

    return patch.object(Purchase, "_rise", falling)


@mutation("a closed order can be cancelled")
def cancelled_after_closing() -> AbstractContextManager[object]:
    rightly = Purchase.cancel

    def lenient(self: Purchase, now: Any) -> Any:
        if self.state is State.CLOSED:
            self.state = State.COMPLETED
        return rightly(self, now)

    return patch.object(Purchase, "cancel", lenient)


@mutation("an order can be closed before it is completed")
def closed_early() -> AbstractContextManager[object]:
    rightly = Purchase.close

    def lenient(self: Purchase, now: Any) -> Any:
        if self.state in FORWARD:
            self.state = State.COMPLETED
        return rightly(self, now)

    return patch.object(Purchase, "close", lenient)


@mutation("what happened last is what was consumed last")
def last_consumed() -> AbstractContextManager[object]:
    def last_of(self: Purchase, service: str) -> str | None:
        return next((each.type for each in self.history[::-1] if each.service == service), None)

    return patch.object(Purchase, "_last_of", last_of)


@mutation("a sale after the release of the credit completes the purchase")
def completed_after_end() -> AbstractContextManager[object]:
    rightly = Purchase._rise

    def eager(self: Purchase, state: State) -> bool:
        if self.state in (State.FAILED, State.CANCELLED) and state is State.COMPLETED:
            self._enter(state)
            return True
        return rightly(self, state)

    return patch.object(Purchase, "_rise", eager)
