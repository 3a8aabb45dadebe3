"""A sign-in that lasts: until it is ended, unused for too long, or too old."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID


@dataclass(frozen=True)
class Session:
    """`device` is what the browser calls itself. The token itself is known to the browser only."""

    id: UUID
    user_id: UUID
    created_at: datetime
    last_seen_at: datetime
    expires_at: datetime
    device: str
