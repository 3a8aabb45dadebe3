"""Pages show a buyer's available credit, and the request for a higher limit."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self


@dataclass(frozen=True)
class Credit:
    """Amounts are in cents. `wanted_cents` is the limit of the last request that no new limit has
    answered; `declined_at` is None while the request waits for an answer.
    """

    limit_cents: int
    available_cents: int
    wanted_cents: int | None
    asked_at: datetime | None
    declined_at: datetime | None

    @classmethod
    def of(cls, customer: Mapping[str, Any]) -> Self:
        asked = customer.get("credit_request") or {}
        return cls(
            limit_cents=customer["credit_limit_cents"],
            available_cents=customer["available_cents"],
            wanted_cents=asked.get("wanted_limit_cents"),
            asked_at=_moment(asked.get("asked_at")),
            declined_at=_moment(asked.get("declined_at")),
        )

    @property
    def is_asked_for(self) -> bool:
        """Return whether a request waits for its answer."""
        return self.asked_at is not None and self.declined_at is None

    def covers(self, price_cents: int) -> bool:
        return price_cents <= self.available_cents

    def limit_for(self, price_cents: int) -> int:
        """Return the lowest limit that covers a purchase at this price."""
        return self.limit_cents + max(0, price_cents - self.available_cents)


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
