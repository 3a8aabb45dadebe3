"""A session lasts until it is ended, was unused for too long, or is too old."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID


@dataclass(frozen=True)
class Session:
    """`device` is the name that the browser gives itself. Only the browser knows the token."""

    id: UUID
    user_id: UUID
    created_at: datetime
    last_seen_at: datetime
    expires_at: datetime
    device: str
