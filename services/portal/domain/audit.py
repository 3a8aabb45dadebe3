"""An audit says who did what, when, and with what result.

The audits of a tenant are a chain: an entry's hash covers its own content and the hash of the entry
before, so that any change, gap or swap is visible.
"""

import hashlib
import json
from collections.abc import AsyncIterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from uuid import UUID

GENESIS = b"\x00" * 32
ANONYMOUS = "anonymous"
"""This is the actor where nobody has signed in."""


class Result(StrEnum):
    DONE = "done"
    REFUSED = "refused"
    FAILED = "failed"


@dataclass(frozen=True)
class Act:
    """An act says who does something, and when. `actor` is a user's id, ANONYMOUS, or a name of the
    system such as `portal`. `id` becomes the id of the audit.
    """

    tenant: str
    actor: str
    id: UUID
    at: datetime


@dataclass(frozen=True)
class Entry:
    """An entry is what is recorded. `actor` is that of the act; `target` is the id of the thing
    acted on. No field contains personal data.
    """

    tenant_id: str
    actor: str
    action: str
    target: str
    result: Result
    details: Mapping[str, str | int]
    at: datetime


@dataclass(frozen=True)
class ChainEnd:
    """A tenant's chain ends with the entry of this number and hash."""

    sequence: int = 0
    hash: bytes = GENESIS


@dataclass(frozen=True)
class Audit:
    """An audit is an entry at its place in the tenant's chain."""

    id: UUID
    entry: Entry
    sequence: int
    previous_hash: bytes
    hash: bytes

    @classmethod
    def after(cls, end: ChainEnd, entry: Entry, audit_id: UUID) -> "Audit":
        sequence = end.sequence + 1
        digest = _digest(audit_id, entry, sequence, end.hash)
        return cls(audit_id, entry, sequence, end.hash, digest)

    @property
    def end(self) -> ChainEnd:
        return ChainEnd(self.sequence, self.hash)

    def problem_after(self, end: ChainEnd) -> str | None:
        """Return what is wrong with this entry when it follows `end`, or None."""
        if self.sequence != end.sequence + 1:
            return f"entry {end.sequence + 1} is missing"
        if self.previous_hash != end.hash:
            return f"entry {self.sequence} does not follow the one before it"
        if self.hash != _digest(self.id, self.entry, self.sequence, self.previous_hash):
            return f"entry {self.sequence} was changed"
        return None


@dataclass(frozen=True)
class ChainReport:
    """`checked` entries are unchanged; `problem` says what is wrong with the first changed one."""

    checked: int
    problem: str | None


async def verify_chain(
    start: ChainEnd, entries: AsyncIterable[Audit], end: ChainEnd
) -> ChainReport:
    """Check the entries in order. `start` is the end of the chain before the first entry still
    kept; `end` is where the chain should end.
    """
    at, checked = start, 0
    async for audit in entries:
        problem = audit.problem_after(at)
        if problem:
            return ChainReport(checked, problem)
        at, checked = audit.end, checked + 1
    if at != end:
        return ChainReport(checked, f"the chain ends at {at.sequence}, not at {end.sequence}")
    return ChainReport(checked, None)


def _digest(audit_id: UUID, entry: Entry, sequence: int, previous_hash: bytes) -> bytes:
    content = [
        str(audit_id),
        entry.tenant_id,
        sequence,
        entry.at.astimezone(UTC).isoformat(timespec="microseconds"),
        entry.actor,
        entry.action,
        entry.target,
        entry.result.value,
        dict(entry.details),
        previous_hash.hex(),
    ]
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).digest()
