"""An event is reissued under a new id when no inbox knows the old one any more.

Under a new id the event has its effect again. So only a person who knows that no copy was handled
may reissue it, and it is refused while an inbox may still know the old id.
"""

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from libs.kernel.ids import time_of
from libs.messaging.schema.inbox_window import InboxWindow

SAME_ID = timedelta(days=7)
"""Within a span of this length an event is reissued under one new id, however often."""


@dataclass(frozen=True)
class Reissued:
    id: UUID
    body: bytes


def envelope_of(body: bytes) -> dict[str, Any] | None:
    """Return the CloudEvent in `body`; None where there is none."""
    try:
        envelope = json.loads(body)
    except ValueError:
        return None
    return envelope if isinstance(envelope, dict) else None


def forgotten(identifier: str, now: datetime, window: InboxWindow) -> str | None:
    """Say why no inbox knows this id or accepts it; None where one may."""
    try:
        made_at = time_of(UUID(identifier))
    except ValueError:
        return "its id is not a UUID of version 7"
    if made_at < now - window.past:
        return (
            f"it was made at {made_at:%Y-%m-%d %H:%M}, "
            f"and an inbox accepts nothing older than {window.past.days} days"
        )
    return None


def reissued(envelope: dict[str, Any], old_id: str, now: datetime) -> Reissued:
    """Return the event under a new id; the old one becomes its `causationid`.

    The new id follows from the old id and the week: reissued twice, after a crash or by two people,
    the event has one effect.
    """
    step = int(SAME_ID.total_seconds() * 1000)
    start = int(now.timestamp() * 1000) // step * step
    random = int.from_bytes(hashlib.sha256(f"reissued {old_id}".encode()).digest()[:10])
    value = (start << 80 | random) & ~(0xF << 76) | 0x7 << 76
    new_id = UUID(int=value & ~(0x3 << 62) | 0x2 << 62)
    content = envelope | {"id": str(new_id), "causationid": old_id}
    return Reissued(new_id, json.dumps(content, ensure_ascii=False).encode())
