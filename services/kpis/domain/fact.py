"""A fact is one event that this service has consumed. It is kept unchanged for good."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID


@dataclass(frozen=True, kw_only=True)
class Fact:
    """`data` is the event's whole content as JSON values. `sequence` is its subject's counter."""

    event_id: UUID
    tenant_id: str
    type: str
    subject: UUID
    sequence: int
    occurred_at: datetime
    data: dict[str, Any]
