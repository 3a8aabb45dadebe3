"""What published rows are settled as: delivered, or to be tried again, and when."""

import logging
import random
from datetime import timedelta

from libs.messaging.relay.claims import Settled, SubjectRows
from libs.messaging.relay.settings import RelaySettings

log = logging.getLogger(__name__)


def settled(
    service: str, settings: RelaySettings, rows: SubjectRows, confirmed: int, error: str | None
) -> Settled:
    """The first `confirmed` rows are with the broker; the next one failed if there is an `error`.

    It is tried again after a pause that grows with its attempts, with jitter. One that is too old
    to be sent is not tried again.
    """
    if error is None:
        return Settled(rows, confirmed)
    message = rows.messages[confirmed]
    attempts = rows.attempts if confirmed == 0 else 0
    log.error(
        "%s: %s %s not delivered, attempt %d: %s",
        service,
        message.type,
        message.id,
        attempts + 1,
        error,
    )
    if message.expired:
        return Settled(rows, confirmed, error)
    seconds = min(settings.backoff_most, settings.backoff * 2 ** min(attempts, 16))
    jitter = random.uniform(0.5, 1.0)  # noqa: S311  # nosec B311
    return Settled(rows, confirmed, error, timedelta(seconds=seconds * jitter))
