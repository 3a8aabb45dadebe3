"""Does what each statement of the messaging library does, over rows in memory.

A statement is found by its text in the library. When that text changes, it is found only after a
person has compared the meaning here. The tests in tests/integration/messaging show on a real
Postgres that the text has this meaning.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

from libs.messaging.inbox.database import TIME_IF_WRITABLE
from libs.messaging.relay import backlog, claims, janitor, queue_watch

if TYPE_CHECKING:
    from tests.simulation.interleavings.postgres import Server

EPOCH = datetime(2030, 1, 1, tzinfo=UTC)
"""Virtual time begins here."""
EFFECT, NEXT_NUMBER = "the effect of a reaction", "the next number of a subject"
"""The services of this simulation do these beside the library, in place of statements."""
_DELETED = re.compile(r"DELETE FROM outbox WHERE seq = ANY \(ARRAY\[([\d,]*|NULL)\]")


@dataclass(frozen=True)
class Row:
    """A `Row` is a row of the outbox. Times are seconds; `due_at` may be infinite."""

    seq: int
    source: str
    id: UUID
    subject: str
    type: str
    body: bytes
    traceparent: str | None
    created_at: float
    attempts: int = 0
    due_at: float = 0.0
    error: str | None = None

    @property
    def is_fresh(self) -> bool:
        return self.attempts == 0 and self.due_at < math.inf

    @property
    def is_parked(self) -> bool:
        return self.attempts == 0 and self.due_at == math.inf

    @property
    def is_tried_again(self) -> bool:
        return self.attempts > 0 and self.due_at < math.inf


async def run(server: "Server", statement: str, arguments: Sequence[Any]) -> Any:
    """Carry out a statement. Outside a transaction it commits by itself."""
    text = statement.strip()
    if text.startswith("BEGIN"):
        server.in_transaction = True
        return "BEGIN"
    if text == "ROLLBACK":
        server.rollback()
        return text
    if text != "COMMIT":
        result = await _carried_out(server, text, arguments)
        if server.in_transaction and not text.endswith("; COMMIT"):
            return result
    else:
        result = text
    server.commit()
    return result


async def _carried_out(server: "Server", text: str, arguments: Sequence[Any]) -> Any:
    if deleted := _DELETED.search(text):
        for seq in deleted[1].replace("NULL", "").split(","):
            if seq and int(seq) in server.rows("outbox"):
                await server.lock("outbox", int(seq))
                server.put("outbox", int(seq), None)
        return "DELETE"
    if text.startswith("INSERT INTO outbox"):
        return _write(server, *arguments)
    if text.startswith("INSERT INTO inbox"):
        return await _admit(server, *arguments)
    if text.startswith("SELECT message_id, payload_hash"):
        consumer, ids, _ = arguments
        inbox = server.rows("inbox")
        return [(each, inbox[consumer, each]) for each in ids if (consumer, each) in inbox]
    return await _BY_TEXT[text](server, *arguments)


def _write(server: "Server", *arguments: Any) -> str:
    *columns, source = arguments
    for identifier, subject, kind, body, traceparent in zip(*columns, strict=True):
        server.postgres.sequence = seq = server.postgres.sequence + 1
        row = Row(seq, source, identifier, subject, kind, body, traceparent, server.now)
        server.try_lock("outbox", seq)
        server.put("outbox", seq, row)
    return "INSERT"


async def _admit(
    server: "Server", consumer: str, ids: list[UUID], _: Any, hashes: list[bytes]
) -> list[tuple[UUID]]:
    new = []
    for identifier, payload_hash in zip(ids, hashes, strict=True):
        await server.lock("inbox", (consumer, identifier))
        if (consumer, identifier) not in server.rows("inbox"):
            server.put("inbox", (consumer, identifier), payload_hash)
            new.append((identifier,))
    return new


async def _claim(
    server: "Server", source: str, look_from: int, fresh: int, failing: int,
    of_subject: int, rows: int, size: int, window: timedelta,
) -> list[tuple[Any, ...]]:  # fmt: skip
    own = _of(server, source)
    near = [row for row in own if row.is_fresh and row.seq >= look_from][:fresh]
    heads = [head for head in _heads(own, near) if head.is_fresh]
    is_near = {row.seq for row in _nearest(near)}
    claimed_fresh = [head for head in heads if server.try_lock("outbox", head.seq)]
    due = [row for row in own if row.attempts > 0 and row.due_at <= server.now]
    due = sorted(due, key=lambda row: row.due_at)[:failing]
    claimed = [row for row in due if server.try_lock("outbox", row.seq)] + claimed_fresh
    share = max(1, min(of_subject, rows // max(1, len(claimed))))
    taken, before = [], 0
    for head in claimed:
        behind = [row for row in own if row.subject == head.subject and row.seq >= head.seq]
        for row in behind[:share]:
            if before < size:
                is_old = row.created_at < server.now - window.total_seconds()
                taken.append(
                    (head.seq, head.attempts, row.seq, row.id, row.subject, row.type, row.body,
                     row.traceparent, is_old, None)
                )  # fmt: skip
            before += len(row.body)
    beyond = near[-1].seq + 1 if len(near) == fresh else None
    in_the_way = len(near) - sum(head.seq in is_near for head in heads)
    return [*taken, (*[None] * 9, [beyond, in_the_way, share])]


async def _fail(
    server: "Server", seqs: list[int], errors: list[str], delays: list[timedelta | None]
) -> None:
    for seq, error, delay in zip(seqs, errors, delays, strict=True):
        if row := await _locked(server, seq):
            due_at = math.inf if delay is None else server.now + delay.total_seconds()
            server.put(
                "outbox", seq, replace(row, attempts=row.attempts + 1, error=error, due_at=due_at)
            )


async def _let_next_go(server: "Server", source: str, subjects: list[str]) -> list[dict[str, int]]:
    own = _of(server, source)
    heads = [head for head in map(_first, (_rows_of(own, each) for each in subjects)) if head]
    for head in heads:
        if head.is_parked and (row := await _locked(server, head.seq)):
            server.put("outbox", row.seq, replace(row, due_at=server.now))
    return [{"seq": head.seq, "attempts": head.attempts} for head in heads]


async def _waiting(server: "Server", source: str, first: int, most: int) -> list[dict[str, Any]]:
    found = [row for row in _of(server, source) if row.is_fresh and row.seq >= first]
    return [{"subject": row.subject, "seq": row.seq} for row in found[:most]]


async def _lock_failing(server: "Server", source: str, subjects: list[str]) -> list[dict[str, Any]]:
    own = _of(server, source)
    heads = [head for head in map(_first, (_rows_of(own, each) for each in subjects)) if head]
    return [
        {"subject": head.subject, "seq": head.seq}
        for head in heads
        if head.attempts > 0 and server.try_lock("outbox", head.seq)
    ]


async def _park(server: "Server", seqs: list[int]) -> None:
    for seq in seqs:
        row = await _locked(server, seq)
        if row is not None and row.is_fresh:
            server.put("outbox", seq, replace(row, due_at=math.inf))


async def _probe(
    server: "Server", source: str, kind: str, window: timedelta
) -> list[tuple[Any, ...]]:
    own = [row for row in _of(server, source) if row.is_tried_again and row.type == kind]
    young = [row for row in own if row.created_at >= server.now - window.total_seconds()]
    for row in sorted(young, key=lambda row: row.due_at):
        if server.try_lock("outbox", row.seq):
            return [
                (row.seq, row.id, row.subject, row.type, row.body, row.traceparent, row.attempts)
            ]
    return []


async def _release(server: "Server", source: str, kinds: list[str]) -> str:
    own = [row for row in _of(server, source) if row.is_tried_again and row.type in kinds]
    later = [row for row in own if row.due_at > server.now]
    for row in later:
        if (found := await _locked(server, row.seq)) and found.is_tried_again:
            server.put("outbox", row.seq, replace(found, due_at=server.now))
    return f"UPDATE {len(later)}"


async def _waits(server: "Server", source: str, kind: str) -> bool:
    return any(row.is_tried_again and row.type == kind for row in _of(server, source))


async def _lowest_from(server: "Server", source: str, first: int) -> int | None:
    return _lowest(server, source, first, math.inf)


async def _lowest_below(
    server: "Server", source: str, first: int, below: int
) -> list[tuple[int | None, None]]:
    return [(_lowest(server, source, first, below), None)]


async def _free_stuck(server: "Server", source: str, first: int) -> list[tuple[int | None, None]]:
    own = _of(server, source)
    parked = [row for row in own if row.is_parked and row.seq >= first]
    firsts = {row.seq for row in _nearest(parked)}
    stuck = [head.seq for head in _heads(own, parked) if head.seq in firsts]
    for seq in stuck:
        if row := await _locked(server, seq):
            server.put("outbox", seq, replace(row, due_at=server.now))
    return [(min(stuck, default=None), None)]


async def _effect(server: "Server", queue: str, identifier: UUID) -> list[Any]:
    """Count one more effect of a reaction."""
    await server.lock("effects", (queue, identifier))
    before = server.rows("effects").get((queue, identifier), 0)
    server.put("effects", (queue, identifier), before + 1)
    return []


async def _next_number(server: "Server", subject: str) -> list[tuple[int]]:
    """Lock the aggregate, and return the next number of its events."""
    await server.lock("subjects", subject)
    number = server.rows("subjects").get(subject, 0) + 1
    server.put("subjects", subject, number)
    return [(number,)]


async def _backlog(server: "Server") -> list[tuple[Any, ...]]:
    rows = list(server.rows("outbox").values())
    failing = [row for row in rows if row.attempts > 0]
    age = server.now - rows[0].created_at if rows else 0.0
    error = failing[-1].error if failing else None
    return [(len(rows), age, len(failing), error, 0)]


async def _notify(server: "Server") -> None:
    server.notifies = True


async def _time(server: "Server") -> datetime:
    return EPOCH + timedelta(seconds=server.now)


def _of(server: "Server", source: str) -> list[Row]:
    """Return the rows of a source in the order of `seq`."""
    return [row for row in server.rows("outbox").values() if row.source == source]


def _rows_of(rows: list[Row], subject: str) -> list[Row]:
    return [row for row in rows if row.subject == subject]


def _first(rows: list[Row]) -> Row | None:
    return rows[0] if rows else None


def _nearest(near: list[Row]) -> list[Row]:
    """Return the first row of each subject."""
    first: dict[str, Row] = {}
    for row in near:
        first.setdefault(row.subject, row)
    return list(first.values())


def _heads(rows: list[Row], near: list[Row]) -> list[Row]:
    return [_rows_of(rows, row.subject)[0] for row in _nearest(near)]


def _lowest(server: "Server", source: str, first: float, below: float) -> int | None:
    own = _of(server, source)
    near = [row for row in own if row.is_fresh and first <= row.seq < below]
    firsts = {row.seq for row in _nearest(near)}
    return min((head.seq for head in _heads(own, near) if head.seq in firsts), default=None)


async def _locked(server: "Server", seq: int) -> Row | None:
    """Return the row once its lock is free, or None when the row is gone by then."""
    await server.lock("outbox", seq)
    row: Row | None = server.rows("outbox").get(seq)
    return row


_BY_TEXT: dict[str, Any] = {
    text.strip(): carry_out
    for text, carry_out in {
        claims.CLAIM: _claim,
        claims.FAIL: _fail,
        claims.LET_NEXT_GO: _let_next_go,
        claims.WAITING: _waiting,
        claims.LOCK_FAILING: _lock_failing,
        claims.PARK: _park,
        claims.PROBE: _probe,
        janitor._LOWEST_FROM: _lowest_from,
        janitor._LOWEST_BELOW: _lowest_below,
        janitor._FREE_STUCK: _free_stuck,
        queue_watch._RELEASE: _release,
        queue_watch._WAITS: _waits,
        backlog._BACKLOG: _backlog,
        EFFECT: _effect,
        NEXT_NUMBER: _next_number,
        "NOTIFY outbox": _notify,
        str(TIME_IF_WRITABLE): _time,
    }.items()
}
