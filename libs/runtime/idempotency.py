"""With Idempotency-Key a repeated request gets the first answer, unchanged, for 24 hours.

The key's row and the effect are one transaction. A request tries an advisory lock of its key and
does not wait for it, so the second of two at once is refused; if both get it one after the other,
the primary key decides.
"""

import hashlib
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated, Generic, TypeVar

from fastapi import Depends, Header, Request
from pydantic import BaseModel
from pydantic_core import to_json
from sqlalchemy import (
    Column,
    DateTime,
    Index,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    Text,
    bindparam,
    delete,
    func,
    literal,
    select,
    text,
    tuple_,
)
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from starlette.responses import Response

from libs.messaging.outbox.unit_of_work import Transactions, UnitOfWork
from libs.runtime.auth import CallerDep
from libs.runtime.concurrency import etag
from libs.runtime.declared import REPLAYED, answers, refuses
from libs.runtime.problems import BadRequest, HeaderRequired, MalformedJson, Refusal

IDEMPOTENCY_KEYS = "idempotency_keys"
MAX_KEY = 255
EXPIRED_AT_ONCE = 1000
KEPT = text("interval '24 hours'")

Unit = TypeVar("Unit", bound=UnitOfWork)


class KeyReused(Refusal):
    status = 422
    code = "idempotency-key-reused"
    text = "This Idempotency-Key was used for another request."

    def __init__(self) -> None:
        super().__init__(field="Idempotency-Key")


class KeyInFlight(Refusal):
    status = 409
    code = "idempotency-key-in-flight"
    text = "A request with this Idempotency-Key is being worked on."

    def __init__(self) -> None:
        super().__init__(field="Idempotency-Key", headers={"Retry-After": "1"})


class MalformedKey(BadRequest):
    text = "Idempotency-Key must be 1 to {most} printable characters."

    def __init__(self) -> None:
        super().__init__(field="Idempotency-Key", most=MAX_KEY)


@dataclass(frozen=True)
class Answer:
    """An endpoint answers this when its use case is done. `version` becomes the ETag."""

    status: int
    body: BaseModel | None
    version: int | None = None
    location: str | None = None


@dataclass(frozen=True)
class IdempotentCall:
    """This is one request as its key sees it. `fingerprint` covers method, path and parsed body."""

    key: str | None
    tenant_id: str
    subject: str
    fingerprint: bytes

    @property
    def lock(self) -> int:
        """Return a signed 64-bit number for the advisory lock."""
        name = json.dumps(["idempotency", self.tenant_id, self.subject, self.key])
        return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big", signed=True)


@dataclass(frozen=True)
class _Kept:
    """An answer is stored and sent as bytes, so that a replay differs in nothing."""

    status: int
    body: bytes
    etag: str | None
    location: str | None

    def response(self, *, replayed: bool = False) -> Response:
        headers = {}
        if self.etag is not None:
            headers["ETag"] = self.etag
            headers["Vary"] = "Authorization, X-Tenant-Id"  # callers may see different parts
        if self.location is not None:
            headers["Location"] = self.location
        if replayed:
            headers["Idempotency-Replayed"] = "true"
        media_type = "application/json" if self.body else None
        return Response(self.body, self.status, headers, media_type)


def idempotency_table(metadata: MetaData) -> Table:
    """Define the keys' table in a service's metadata; the first migration creates it."""
    return Table(
        IDEMPOTENCY_KEYS,
        metadata,
        Column("tenant_id", Text, primary_key=True),
        Column("subject", Text, primary_key=True),
        Column("key", Text, primary_key=True),
        Column("fingerprint", LargeBinary, nullable=False),
        Column("status", SmallInteger, nullable=False),
        Column("body", LargeBinary, nullable=False),
        Column("etag", Text),
        Column("location", Text),
        Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
        Index("idempotency_keys_created_at", "created_at"),
    )


async def delete_expired(engine: AsyncEngine, table: Table) -> bool:
    """Delete keys older than 24 hours, by database time. Returns True when there may be more."""
    key = tuple_(*table.primary_key.columns)
    expired = (
        select(*table.primary_key.columns)
        .where(table.c.created_at <= func.now() - KEPT)
        .limit(EXPIRED_AT_ONCE)
    )
    async with engine.begin() as connection:
        deleted = await connection.execute(delete(table).where(key.in_(expired)))
    return deleted.rowcount == EXPIRED_AT_ONCE


def respond(answer: Answer) -> Response:
    """Return the response of an endpoint without idempotency."""
    return _kept(answer).response()


class Idempotency(Generic[Unit]):
    """`Idempotency` runs a creating request at most once for each key of a caller."""

    def __init__(self, transactions: Transactions[Unit], table: Table) -> None:
        self.table = table
        self._transactions = transactions
        self._find = (
            select(
                func.pg_try_advisory_xact_lock(bindparam("lock")).label("free"),
                table.c.fingerprint,
                table.c.status,
                table.c.body,
                table.c.etag,
                table.c.location,
            )
            .select_from(select(literal(1)).subquery())
            .outerjoin(
                table,
                (table.c.tenant_id == bindparam("tenant_id"))
                & (table.c.subject == bindparam("subject"))
                & (table.c.key == bindparam("key"))
                & (table.c.created_at > func.now() - KEPT),
            )
        )
        row = insert(table)
        self._keep = row.on_conflict_do_update(
            index_elements=[table.c.tenant_id, table.c.subject, table.c.key],
            set_={**{name: row.excluded[name] for name in _STORED}, "created_at": func.now()},
            where=table.c.created_at <= func.now() - KEPT,
        ).returning(literal(1))

    async def run(
        self, call: IdempotentCall, work: Callable[[Unit], Awaitable[Answer]]
    ) -> Response:
        """Do `work` and keep its answer with the key, in one transaction; or replay.

        Refuse another payload under the key (422), and a key whose first request still runs (409).
        An answer that is not 2xx, and any error, is not kept.
        """

        async def once(unit: Unit) -> Response:
            replay = await self._replay(unit.connection, call)
            if replay is not None:
                return replay
            kept = _kept(await work(unit))
            if 200 <= kept.status < 300:
                await self._store(unit.connection, call, kept)
            return kept.response()

        async def plain(unit: Unit) -> Response:
            return respond(await work(unit))

        return await self._transactions.run(plain if call.key is None else once)

    async def _replay(self, connection: AsyncConnection, call: IdempotentCall) -> Response | None:
        found = (
            await connection.execute(
                self._find,
                {
                    "lock": call.lock,
                    "tenant_id": call.tenant_id,
                    "subject": call.subject,
                    "key": call.key,
                },
            )
        ).one()
        if found.fingerprint is None:
            if not found.free:
                raise KeyInFlight
            return None
        if found.fingerprint != call.fingerprint:
            raise KeyReused
        return _Kept(found.status, found.body, found.etag, found.location).response(replayed=True)

    async def _store(self, connection: AsyncConnection, call: IdempotentCall, kept: _Kept) -> None:
        stored = await connection.execute(
            self._keep,
            {
                "tenant_id": call.tenant_id,
                "subject": call.subject,
                "key": call.key,
                "fingerprint": call.fingerprint,
                "status": kept.status,
                "body": kept.body,
                "etag": kept.etag,
                "location": kept.location,
            },
        )
        if stored.first() is None:
            # The other request committed between our query and our lock.
            raise KeyInFlight


_STORED = ("fingerprint", "status", "body", "etag", "location")


def _kept(answer: Answer) -> _Kept:
    return _Kept(
        answer.status,
        b"" if answer.body is None else to_json(answer.body, by_alias=True),
        None if answer.version is None else etag(answer.version),
        answer.location,
    )


@refuses(400, 409, 422)
@answers(REPLAYED)
async def _call(
    request: Request,
    caller: CallerDep,
    idempotency_key: Annotated[
        str | None,
        Header(
            description=f"At most {MAX_KEY} characters",
            json_schema_extra={"minLength": 1, "maxLength": MAX_KEY},
        ),
    ] = None,
) -> IdempotentCall:
    if idempotency_key is None:
        return IdempotentCall(None, caller.tenant_id, caller.subject, b"")
    if not (1 <= len(idempotency_key) <= MAX_KEY and idempotency_key.isprintable()):
        raise MalformedKey
    fingerprint = _fingerprint(request, await request.body())
    return IdempotentCall(idempotency_key, caller.tenant_id, caller.subject, fingerprint)


def _fingerprint(request: Request, body: bytes) -> bytes:
    try:
        parsed = json.loads(body) if body else None
        payload = json.dumps(parsed, sort_keys=True, separators=(",", ":"))
    except (ValueError, RecursionError):
        raise MalformedJson from None
    described = "\n".join((request.method, request.url.path, payload))
    return hashlib.sha256(described.encode()).digest()


@refuses(400, without="idempotency-key")
async def _required_call(call: Annotated[IdempotentCall, Depends(_call)]) -> IdempotentCall:
    if call.key is None:
        raise HeaderRequired("Idempotency-Key")
    return call


IdempotentCallDep = Annotated[IdempotentCall, Depends(_call)]
RequiredIdempotentCallDep = Annotated[IdempotentCall, Depends(_required_call)]
