"""A fact: one event this service heard, kept for good as it was heard."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID


@dataclass(frozen=True, kw_only=True)
class Fact:
    """`data` is all the event said, as JSON values; `sequence` its subject's counter."""

    event_id: UUID
    tenant_id: str
    type: str
    subject: UUID
    sequence: int
    occurred_at: datetime
    data: dict[str, Any]
