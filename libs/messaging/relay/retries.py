"""A failed message is tried again after a pause."""

import logging
import random
from collections import defaultdict
from collections.abc import Sequence
from datetime import timedelta

from libs.messaging.relay.claims import Outcome, RetryAfter
from libs.messaging.relay.settings import RelaySettings

log = logging.getLogger(__name__)


def retry_after(settings: RelaySettings) -> RetryAfter:
    """Return a function that decides the pause: it grows with the attempts, with jitter. A message
    too old to be sent is not tried again.
    """

    def pause(outcome: Outcome) -> timedelta | None:
        if outcome.next_message.expired:
            return None
        attempts = outcome.rows.attempts if outcome.confirmed == 0 else 0
        seconds = min(settings.backoff_most, settings.backoff * 2 ** min(attempts, 16))
        jitter = random.uniform(0.5, 1.0)  # noqa: S311  # nosec B311
        return timedelta(seconds=seconds * jitter)

    return pause


def log_failures(service: str, outcomes: Sequence[Outcome]) -> None:
    """Log one line for each type and reason: thousands of events may be held back for one queue."""
    failures = defaultdict[tuple[str, str], list[str]](list)
    for outcome in outcomes:
        if outcome.error is not None:
            message = outcome.next_message
            failures[message.type, outcome.error].append(str(message.id))
    for (kind, error), ids in failures.items():
        others = f" and {len(ids) - 1} more" if len(ids) > 1 else ""
        log.error("%s: %s %s%s not delivered: %s", service, kind, ids[0], others, error)
