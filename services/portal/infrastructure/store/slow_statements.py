"""The database measures which of the services' statements take it longest."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

SHOWN = 10
LONGEST_TEXT = 300

_ASK = text("SELECT database, statement, calls, seconds, rows FROM operations.slow_statements()")
_MISSING = {
    "3F000": "no schema",
    "42883": "no function",
    "42501": "no right to it",
    "55000": "the extension is not loaded",
}
"""With these SQLSTATEs a server measures no statements, or shows this role none."""

_LIST = re.compile(r"\$\d+(?:::\w+)?(?:\s*,\s*\$\d+(?:::\w+)?)+")
_VALUE = re.compile(
    r"""[eEbBxX]?'(?:[^']|'')*'|\$(\w*)\$.*?\$\1\$|(?<![\w$."])\d+(?:\.\d+)?""", re.DOTALL
)
_COMMENT = re.compile(r"/\*.*?\*/|--[^\n]*", re.DOTALL)


@dataclass(frozen=True)
class SlowStatement:
    """`seconds` is the total time of all `calls`."""

    database: str
    statement: str
    calls: int
    seconds: float
    rows: int

    @property
    def mean_ms(self) -> float:
        return self.seconds / self.calls * 1000


class SlowStatements:
    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def listed(self) -> Sequence[SlowStatement] | None:
        """Return the slowest on average first, or None where this role may see no measurements."""
        try:
            async with self._engine.connect() as connection:
                rows = (await connection.execute(_ASK)).all()
        except DBAPIError as error:
            if getattr(error.orig, "sqlstate", None) in _MISSING:
                return None
            raise
        return slowest(SlowStatement(*row) for row in rows)


def slowest(found: Iterable[SlowStatement]) -> Sequence[SlowStatement]:
    """Merge statements that differ only in values, or in the length of a list."""
    merged: dict[tuple[str, str], SlowStatement] = {}
    for each in found:
        statement = masked(each.statement)
        known = merged.get((each.database, statement))
        merged[each.database, statement] = SlowStatement(
            each.database,
            statement,
            each.calls + (known.calls if known else 0),
            each.seconds + (known.seconds if known else 0.0),
            each.rows + (known.rows if known else 0),
        )
    return sorted(merged.values(), key=lambda each: -each.mean_ms)[:SHOWN]


def masked(statement: str) -> str:
    """Return the statement on one line, shortened, without values. Postgres leaves some values in
    when it has to evict statements soon.
    """
    plain = _VALUE.sub("?", _COMMENT.sub(" ", statement))
    line = " ".join(_LIST.sub("$…", plain).split())
    return line if len(line) <= LONGEST_TEXT else f"{line[:LONGEST_TEXT]} …"
