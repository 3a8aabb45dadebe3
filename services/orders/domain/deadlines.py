"""How long a purchase may rest before somebody looks at it."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from services.orders.domain.states import State


@dataclass(frozen=True, kw_only=True)
class Deadlines:
    """Waiting times by state; past them a purchase is given up.

    `before_code` counts from the request to the payment code, `after_code_expires` from the moment
    the code expires, `after_payment` from the payment. `compensating` gives nothing up: it is how
    long the way back may take before an alert is raised, and how often it is repeated.
    """

    before_code: timedelta = timedelta(hours=1)
    after_code_expires: timedelta = timedelta(minutes=15)
    after_payment: timedelta = timedelta(hours=24)
    compensating: timedelta = timedelta(minutes=15)

    def on_entering(
        self, state: State, code_expires_at: datetime | None
    ) -> datetime | timedelta | None:
        """When to look: an instant, a time from the database's now, or None for never."""
        match state:
            case State.AWAITING_PAYMENT if code_expires_at is not None:
                return code_expires_at + self.after_code_expires
            case State.PAID:
                return self.after_payment
            case State.COMPENSATING:
                return self.compensating
            case State.COMPLETED | State.CLOSED | State.FAILED | State.CANCELLED:
                return None
            case _:
                return self.before_code
