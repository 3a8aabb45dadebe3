"""Resealing seals anew, with the current key, what earlier keys have sealed. After that an earlier
key can be removed.

    DATA_KEYS=new:…,old:… python -m services.NAME.main re-seal

It runs beside the service, may be interrupted, and may run several times at once: a value is
replaced only where it is still the one that was opened.
"""

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from sqlalchemy import Column, LargeBinary, bindparam, func, select, update
from sqlalchemy.ext.asyncio import AsyncEngine

from libs.runtime.crypto import CannotDecrypt, Cipher
from libs.runtime.data_keys import Sealed, key_id_of

BATCH = 200
PROGRESS_SECONDS = 2.0


@dataclass
class Resealed:
    """`left` counts the values that keys other than `current` still seal: by key, and where."""

    current: str
    count: int = 0
    left: dict[str, dict[str, int]] = field(default_factory=dict)
    unused: list[str] = field(default_factory=list)

    def lines(self) -> list[str]:
        """Return the report as lines for people."""
        said = [f"{self.count} values sealed anew with the key {self.current!r}"]
        for key_id, places in sorted(self.left.items()):
            where = ", ".join(f"{count} of {place}" for place, count in sorted(places.items()))
            said.append(f"the key {key_id!r} still seals {where}: they cannot be opened")
        said += [
            f"the key {key_id!r} is unused: take it out of DATA_KEYS (and keep it for as long as"
            " backups made before)"
            for key_id in self.unused
        ]
        return said


async def reseal(
    engine: AsyncEngine, sealed: Sealed, *, progress: Callable[[str], None] | None = None
) -> Resealed:
    """Seal all anew but what cannot be opened. Raises what the database raises."""
    cipher = sealed.cipher
    result = Resealed(cipher.current)
    for column in sealed.columns:
        result.count += await _reseal_column(engine, cipher, column, progress or _nowhere)
    async with engine.connect() as connection:
        for column in sealed.columns:
            used = key_id_of(column).label("used")
            found = await connection.execute(
                select(used, func.count()).where(column.is_not(None)).group_by(used)
            )
            for key, count in found:
                if (key_id := key.decode(errors="replace")) != cipher.current:
                    result.left.setdefault(key_id, {})[str(column)] = count
    result.unused = sorted(cipher.key_ids - {cipher.current} - result.left.keys())
    return result


async def _reseal_column(
    engine: AsyncEngine, cipher: Cipher, column: Column[bytes], progress: Callable[[str], None]
) -> int:
    table, current = column.table, cipher.current.encode()
    old, new, row = (
        bindparam("old", type_=LargeBinary),
        bindparam("new", type_=LargeBinary),
        bindparam("row", type_=table.c.id.type),
    )
    replace = update(table).where(table.c.id == row, column == old).values({column.name: new})
    last, count, told_at = None, 0, time.monotonic()
    while True:
        async with engine.connect() as connection:
            wanted = select(table.c.id).where(column.is_not(None), key_id_of(column) != current)
            if last is not None:
                wanted = wanted.where(table.c.id > last)
            ids = (await connection.scalars(wanted.order_by(table.c.id).limit(BATCH))).all()
        for row_id in ids:  # one at a time: a value may be a whole file
            async with engine.begin() as connection:
                value = await connection.scalar(select(column).where(table.c.id == row_id))
                context = f"{table.name}.{column.name}:{row_id}"
                try:
                    anew = cipher.encrypt(cipher.decrypt(value or b"", context), context)
                except CannotDecrypt:
                    continue
                done = await connection.execute(replace, {"row": row_id, "old": value, "new": anew})
                count += done.rowcount
        if not ids:
            return count
        last = ids[-1]
        if time.monotonic() - told_at > PROGRESS_SECONDS:
            progress(f"{column}: {count} sealed anew")
            told_at = time.monotonic()


def _nowhere(_: str) -> None:
    pass


def to_standard_error(line: str) -> None:
    print(line, file=sys.stderr, flush=True)  # noqa: T201
