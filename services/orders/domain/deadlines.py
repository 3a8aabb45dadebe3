"""The deadlines limit how long a purchase may wait in each state."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from services.orders.domain.states import State


@dataclass(frozen=True, kw_only=True)
class Deadlines:
    """A purchase that waits longer in a state than its deadline is given up.

    `before_code` counts from the request to the payment code, `after_code_expires` from the expiry
    of the code, `after_payment` from the payment. `compensating` gives nothing up: after that time
    a compensation raises an alert, which repeats at the same interval.
    """

    before_code: timedelta = timedelta(hours=1)
    after_code_expires: timedelta = timedelta(minutes=15)
    after_payment: timedelta = timedelta(hours=24)
    compensating: timedelta = timedelta(minutes=15)

    def on_entering(
        self, state: State, code_expires_at: datetime | None
    ) -> datetime | timedelta | None:
        """Return when it is due: an instant, a time from the database's now, or None for never."""
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
