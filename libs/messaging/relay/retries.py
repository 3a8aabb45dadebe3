"""What published rows are settled as: delivered, or to be tried again, and when."""

import logging
import random
from collections import defaultdict
from collections.abc import Sequence
from datetime import timedelta

from libs.messaging.relay.claims import Settled, SubjectRows
from libs.messaging.relay.settings import RelaySettings

log = logging.getLogger(__name__)


def settled(
    settings: RelaySettings, rows: SubjectRows, confirmed: int, error: str | None
) -> Settled:
    """The first `confirmed` rows are with the broker; the next one failed if there is an `error`.

    It is tried again after a pause that grows with its attempts, with jitter. One that is too old
    to be sent is not tried again.
    """
    if error is None:
        return Settled(rows, confirmed)
    if rows.messages[confirmed].expired:
        return Settled(rows, confirmed, error)
    attempts = rows.attempts if confirmed == 0 else 0
    seconds = min(settings.backoff_most, settings.backoff * 2 ** min(attempts, 16))
    jitter = random.uniform(0.5, 1.0)  # noqa: S311  # nosec B311
    return Settled(rows, confirmed, error, timedelta(seconds=seconds * jitter))


def log_failures(service: str, done: Sequence[Settled]) -> None:
    """One line for each type and reason: thousands of events may be held back for one queue."""
    failures = defaultdict[tuple[str, str], list[str]](list)
    for each in done:
        if each.error is not None:
            message = each.rows.messages[each.confirmed]
            failures[message.type, each.error].append(str(message.id))
    for (kind, error), ids in failures.items():
        others = f" and {len(ids) - 1} more" if len(ids) > 1 else ""
        log.error("%s: %s %s%s not delivered: %s", service, kind, ids[0], others, error)
