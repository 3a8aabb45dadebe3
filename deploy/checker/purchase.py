"""A `Purchase` has what each service holds of it; the rules of several services share the rest."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias
from uuid import UUID

SUCCEEDED = frozenset({"COMPLETED", "CLOSED"})
GIVEN_BACK = frozenset({"FAILED", "CANCELLED"})
ENDED = SUCCEEDED | GIVEN_BACK
MAY_HOLD_A_SALE = SUCCEEDED | {"COMPENSATING"}
"""During a compensation a purchase may still hold what was sold and paid. No purchase may rest
there.
"""


class Row(Protocol):
    """A row is a record of the database, or any object with its columns by name."""

    def __getitem__(self, column: str, /) -> Any: ...


@dataclass(slots=True)
class Purchase:
    """`records` are what each service holds of the purchase, by its name; None where there is
    nothing. `payment` and `payout` also exist where only the gateway's or the bank's books know of
    it; their state is None then. `state` is the order's, or "unknown".
    """

    order_id: UUID
    records: Mapping[str, Row | None]
    state: str = field(init=False)

    def __post_init__(self) -> None:
        self.state = state_of(self.order) or "unknown"

    @property
    def order(self) -> Row | None:
        return self.records["orders"]

    @property
    def credit(self) -> Row | None:
        return self.records["customers"]

    @property
    def reservation(self) -> Row | None:
        return self.records["vehicles"]

    @property
    def payment(self) -> Row | None:
        return self.records["payments"]

    @property
    def payout(self) -> Row | None:
        return self.records["payouts"]


Rule: TypeAlias = Callable[[Purchase], Iterator[str]]
"""A rule returns one sentence for each violation."""


def state_of(record: Row | None) -> str | None:
    return None if record is None else record["state"]


def held_of_nobody(
    it: Purchase, record: Row | None, states: frozenset[str], owner: str
) -> Iterator[str]:
    if record is not None and record["state"] in states and not record["known"]:
        yield f"order {it.order_id}: there is no {owner} {record[f'{owner}_id']}"


def success_has(it: Purchase, record: Row | None, what: str, state: str) -> Iterator[str]:
    if it.state in SUCCEEDED and state_of(record) != state:
        yield f"order {it.order_id} is {it.state}, its {what} is {state_of(record) or 'missing'}"
