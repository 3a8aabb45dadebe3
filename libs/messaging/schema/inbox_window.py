"""The greatest age of a message, and how long inbox and archive keep their rows because of it."""

from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True)
class InboxWindow:
    """The ages at which a message is accepted: inside it a first copy is still known.

    How long rows are kept follows from it, so that no setting can let a redelivery or a redrive
    outlive the row of its first copy: a message that old goes to the dead letters.
    """

    past: timedelta = timedelta(days=14)
    ahead: timedelta = timedelta(hours=1)

    @property
    def kept(self) -> timedelta:
        """Rows younger than this may not be dropped. It is a day longer than `past`, because clocks
        differ and partitions hold whole days.
        """
        return self.past + timedelta(days=1)

    @property
    def replayable(self) -> timedelta:
        """Kept longer than this, an event sent again could come after the row of its first copy
        is gone: a day less, because archives drop whole days.
        """
        return self.past - timedelta(days=1)

    def holds(self, made_at: datetime, now: datetime) -> bool:
        return now - self.past <= made_at <= now + self.ahead


INBOX_WINDOW = InboxWindow()
"""One for all services: an event is sent by one of them and known to the inboxes of others. Who
needs another gives it to relay, subscriber, upkeep and dead letters alike.
"""
