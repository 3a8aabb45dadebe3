"""A check finds out whether DATA_KEYS has the keys that seal a service's rows, and INDEX_KEY the
key of its blind indexes.

A process finds out at its start that a key was dropped too early or replaced. Otherwise the first
reader would notice, or two vehicles with the same plate would be accepted. Readiness reports it;
the process does not end, because the database may be away at the start, and because work that needs
no sealed value (reservations, the relay) goes on. A rollout stops in any case at a process that is
not ready.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import structlog
from sqlalchemy import (
    Column,
    ColumnElement,
    LargeBinary,
    RowMapping,
    case,
    func,
    select,
)
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from libs.runtime.crypto import CannotDecrypt, Cipher

log = structlog.get_logger(__name__)

LOOK_AGAIN_SECONDS = 60.0
REST_SECONDS = 86_400.0
"""Two looks have this pause while the keys fit. The keys of a process do not change; rows that
another key sealed come with a restore only.
"""
TRIED = 2
"""This many values are opened for each column and key. They are the oldest, by their ids, so that
values written later with a wrong key do not hide it.
"""
ONE_DAMAGED_VALUE = 1
"""This many values with an unknown key count as damaged: reading them fails, and readiness reports
no missing key.
"""


@dataclass(frozen=True)
class Indexed:
    """`fits` says whether the blind index in `column` of a row was made with this key; None when
    the row's value cannot be read.
    """

    column: Column[bytes]
    fits: Callable[[RowMapping], bool | None]


@dataclass(frozen=True)
class Sealed:
    """`cipher` seals these columns, each in the context `TABLE.COLUMN:ID` of its row."""

    cipher: Cipher
    columns: Sequence[Column[bytes]]
    indexed: Indexed


class KeyCheck:
    """`problem` is one line about what the last `look` found; None while the keys fit."""

    def __init__(self, engine: AsyncEngine, sealed: Sealed) -> None:
        self._engine = engine
        self._cipher = sealed.cipher
        self._columns = sealed.columns
        self._indexed = sealed.indexed
        self.problem: str | None = None

    async def look(self) -> float:
        """Read the ids of keys in every sealed column. Returns the seconds until the next look."""
        missing: dict[str, int] = {}
        wrong: set[str] = set()
        async with self._engine.connect() as connection:
            for column in self._columns:
                for key_id, values in await self._unknown(connection, column):
                    missing[key_id] = missing.get(key_id, 0) + values
                for key_id in self._cipher.key_ids - wrong:
                    if not await self._opens(connection, column, key_id):
                        wrong.add(key_id)
            sentences = list(_sentences(missing, wrong))
            if not await self._finds(connection):
                sentences.append("INDEX_KEY is not the one that the rows are found by")
        self._note("; ".join(sentences) or None)
        return REST_SECONDS if self.problem is None else LOOK_AGAIN_SECONDS

    async def _unknown(
        self, connection: AsyncConnection, column: Column[bytes]
    ) -> Sequence[tuple[str, int]]:
        used = key_id_of(column).label("used")
        known = [key_id.encode() for key_id in self._cipher.key_ids]
        found = await connection.execute(
            select(used, func.count()).where(column.is_not(None), used.not_in(known)).group_by(used)
        )
        return [(key_id.decode(errors="replace"), values) for key_id, values in found]

    async def _opens(self, connection: AsyncConnection, column: Column[bytes], key_id: str) -> bool:
        """Return whether the key opens values that carry its id. It has to open one of several."""
        rows = await connection.execute(
            select(column.table.c.id, column)
            .where(column.is_not(None), key_id_of(column) == key_id.encode())
            .order_by(column.table.c.id)
            .limit(TRIED)
        )
        tried = [self._can_open(column, row_id, value) for row_id, value in rows]
        return len(tried) <= ONE_DAMAGED_VALUE or any(tried)

    async def _finds(self, connection: AsyncConnection) -> bool:
        """Return whether rows have an index made with this key. False when the oldest rows can be
        read and none of them has one.
        """
        column = self._indexed.column
        rows = await connection.execute(
            select(column.table).where(column.is_not(None)).order_by(column.table.c.id).limit(TRIED)
        )
        told = [self._indexed.fits(row) for row in rows.mappings()]
        known = [fits for fits in told if fits is not None]
        return len(known) <= ONE_DAMAGED_VALUE or any(known)

    def _can_open(self, column: Column[bytes], row_id: object, value: bytes) -> bool:
        try:
            self._cipher.decrypt(value, f"{column.table.name}.{column.name}:{row_id}")
        except CannotDecrypt:
            return False
        return True

    def _note(self, problem: str | None) -> None:
        if problem is not None and problem != self.problem:
            log.error("the keys do not fit the rows", problem=problem)
        self.problem = problem


def key_id_of(column: Column[bytes]) -> ColumnElement[bytes]:
    """Select the id that `Cipher.encrypt` writes: one byte of length, then the id."""
    empty = func.octet_length(column) == 0
    named = func.substring(column, 2, func.get_byte(column, 0), type_=LargeBinary())
    return case((empty, func.substring(column, 1, 0, type_=LargeBinary())), else_=named)


def _sentences(missing: dict[str, int], wrong: Iterable[str]) -> Iterable[str]:
    for key_id, values in sorted(missing.items()):
        if values > ONE_DAMAGED_VALUE:
            yield f"DATA_KEYS lacks the key {key_id!r}, which sealed {values} values"
    for key_id in sorted(wrong):
        yield f"the key {key_id!r} in DATA_KEYS is not the one that sealed values under this id"
