"""A customer has requested a higher credit limit, and an admin answers."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class CreditRequest:
    """`wanted_cents` is the limit requested. A new limit answers the request and ends it. A
    declined request stays, so that its customer can read the answer.
    """

    wanted_cents: int
    asked_at: datetime
    declined_at: datetime | None = None

    @property
    def is_open(self) -> bool:
        return self.declined_at is None
