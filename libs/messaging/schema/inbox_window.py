"""The greatest age of a message decides how long inbox and archive keep their rows."""

from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True)
class InboxWindow:
    """A message of these ages is accepted, because the inbox still knows its first copy.

    How long rows are kept follows from the window, so that no setting can let a redelivery or a
    redrive outlive the row of its first copy: a message that old goes to the dead letters.
    """

    past: timedelta = timedelta(days=14)
    ahead: timedelta = timedelta(hours=1)

    @property
    def kept(self) -> timedelta:
        """Return the age below which no row may be dropped. It is a day longer than `past`, because
        clocks differ and partitions hold whole days.
        """
        return self.past + timedelta(days=1)

    @property
    def replayable(self) -> timedelta:
        """Return how long an event may be kept for a replay: a day less than `past`, because
        archives drop whole days, and a later copy could find the row of its first copy gone.
        """
        return self.past - timedelta(days=1)

    def holds(self, made_at: datetime, now: datetime) -> bool:
        return now - self.past <= made_at <= now + self.ahead


INBOX_WINDOW = InboxWindow()
"""All services have one window: an event is sent by one of them and known to the inboxes of others.
A system with another window gives it to relay, subscriber, upkeep and dead letters alike.
"""
