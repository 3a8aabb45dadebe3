"""Writes the table of docs/data-security.md: the retention of each kind of data, read
from the code.
"""

import re
from datetime import timedelta

from libs.messaging.relay.claims import Limits
from libs.messaging.schema.inbox_window import INBOX_WINDOW
from libs.runtime.idempotency import KEPT as ANSWERS_KEPT
from libs.runtime.settings import ServiceSettings
from services.portal.application.request_password_reset import LIFETIME as RESET_LIFETIME
from services.portal.infrastructure.settings import PortalSettings
from services.portal.infrastructure.store.place_repository import KNOWN
from services.portal.infrastructure.store.session_repository import UNUSED
from services.portal.infrastructure.store.submission_repository import READY_FOR


def retention() -> str:
    """Tell what is kept for how long, and where the length is set."""
    portal = PortalSettings.model_fields
    sessions = timedelta(seconds=portal["session_seconds"].default)
    archive = timedelta(days=ServiceSettings.model_fields["outbox_retention_days"].default)
    rows = (
        (
            "audits",
            f"{portal['audit_months'].default} months, never less than 12",
            "`AUDIT_MONTHS`",
        ),
        (
            "timelines of purchases",
            f"{portal['timeline_months'].default} months",
            "`TIMELINE_MONTHS`",
        ),
        (
            "published events",
            f"{_words(archive)}, at most {_words(INBOX_WINDOW.replayable)}",
            "`OUTBOX_RETENTION_DAYS`",
        ),
        (
            "events that wait to be published",
            f"until they are published; after {_words(Limits().window)} a person decides",
            "`Limits.window`",
        ),
        ("ids and digests in an inbox", _words(INBOX_WINDOW.kept), "`InboxWindow.kept`"),
        ("answers under an `Idempotency-Key`", _words(_interval()), "`idempotency.py`"),
        ("sign-ins", f"{_words(sessions)}, or {_words(UNUSED)} unused", "`SESSION_SECONDS`"),
        ("places a user has signed in from", _words(KNOWN), "`place_repository.py`"),
        ("links for forgotten passwords", _words(RESET_LIFETIME), "`request_password_reset.py`"),
        ("files handed in, and not begun", _words(READY_FOR), "`submission_repository.py`"),
    )
    lines = [("what", "kept for", "set by"), ("---", "---", "---"), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _interval() -> timedelta:
    """Return the SQL's interval. Raises LookupError where it is not in hours."""
    found = re.fullmatch(r"interval '(\d+) hours'", ANSWERS_KEPT.text)
    if found is None:
        raise LookupError(f"{ANSWERS_KEPT.text} is no number of hours")
    return timedelta(hours=int(found[1]))


def _words(span: timedelta) -> str:
    """Return the span in days where it is more than two, else in hours."""
    hours = span // timedelta(hours=1)
    number, unit = (hours // 24, "day") if hours > 48 or hours == 24 else (hours, "hour")
    return f"{number} {unit}" + ("" if number == 1 else "s")
