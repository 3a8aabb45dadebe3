"""What a migration takes from the code of the previous release, which still runs when it is done.

A schema changes in two releases: the first expands it, so that the code before and after can use
it; the second, when nothing uses what is left over, contracts it. A migration that contracts says
so in a variable of its module, `contracts`: a sentence on why no running code needs it any more.
"""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from alembic.script import ScriptDirectory
from sqlalchemy import URL, Connection, event

from libs.messaging.database_url import parse_database_url
from libs.runtime.migrations import configuration, migrate

VERSION = re.compile(r"(?:INSERT INTO|UPDATE) alembic_version .*?'(\w+)'")
EXPANDS = re.compile(r"^CREATE (?:UNLOGGED )?TABLE|\bADD COLUMN\b")
NAME = r'(?:IF (?:NOT )?EXISTS )?(?:ONLY )?"?(?P<table>[\w.]+)"?'
CREATED = re.compile(rf"\bCREATE (?:UNLOGGED )?(?:TABLE|VIEW) {NAME}")
TAKEN = {
    "drops the table": re.compile(rf"^DROP TABLE {NAME}"),
    "drops the view": re.compile(rf"^DROP VIEW {NAME}"),
    "drops a column of": re.compile(rf"^ALTER TABLE {NAME}.*\bDROP COLUMN\b"),
    "renames": re.compile(rf"^ALTER (?:TABLE|VIEW) {NAME}.*\bRENAME\b"),
    "changes a type in": re.compile(
        rf"^ALTER TABLE {NAME}.*\bALTER (?:COLUMN )?\S+ (?:SET DATA )?TYPE\b"
    ),
    "wants a value, which the code before does not write, in": re.compile(
        rf"^ALTER TABLE {NAME}.*\bALTER (?:COLUMN )?\S+ SET NOT NULL"
    ),
    "takes a default from": re.compile(
        rf"^ALTER TABLE {NAME}.*\bALTER (?:COLUMN )?\S+ DROP DEFAULT"
    ),
}
ALTERED = re.compile(rf"^ALTER TABLE {NAME}")
ADDED = re.compile(r"\bADD COLUMN (?:IF NOT EXISTS )?(?P<column>\S+) (?P<kind>[^,]*)")


def played(service: str, url: str) -> dict[str, list[str]]:
    """What each migration runs, by revision, seen on an empty database at `url`."""
    ran: dict[str, list[str]] = {}
    since: list[str] = []

    def note(_connection: Connection, _cursor: Any, sql: str, *_: Any) -> None:
        if done := VERSION.search(sql):
            ran[done[1]] = since.copy()
            since.clear()
        else:
            since.extend(statements(sql))

    @contextmanager
    def watched(connection: Connection) -> Iterator[None]:
        event.listen(connection, "after_cursor_execute", note)
        try:
            yield
        finally:
            event.remove(connection, "after_cursor_execute", note)

    migrate(service, parse_database_url(url), "upgrade", "head", watch=watched)
    return ran


def statements(sql: str) -> list[str]:
    """Each in one line, with no literal and no comment in it."""
    text = re.sub(r"\$(\w*)\$.*?\$\1\$", "''", sql, flags=re.DOTALL)
    text = re.sub(r"--[^\n]*", "", re.sub(r"'(?:[^']|'')*'", "''", text))
    return [" ".join(each.split()) for each in text.split(";") if each.strip()]


def taken(ran: Sequence[str]) -> list[str]:
    """What these statements take from the code before. What they have made themselves is theirs."""
    found: list[str] = []
    created: set[str] = set()
    for statement in ran:
        created |= {each["table"] for each in CREATED.finditer(statement)}
        for what, pattern in TAKEN.items():
            if (match := pattern.search(statement)) and match["table"] not in created:
                found.append(f"{what} {match['table']}")
        altered = ALTERED.search(statement)
        if altered is None or altered["table"] in created:
            continue
        for added in ADDED.finditer(statement):
            if _is_wanted(added["kind"]):
                column = f"{altered['table']}.{added['column']}"
                found.append(f"adds {column}, which has to have a value and gets none from it")
    return found


def _is_wanted(kind: str) -> bool:
    return "NOT NULL" in kind and not re.search(r"\b(?:DEFAULT|GENERATED)\b", kind)


def problems(name: str, ran: Sequence[str], contracts: str) -> list[str]:
    """What this migration takes without a word, and a word that takes nothing. `contracts` is the
    sentence of its module, empty where there is none.
    """
    found = taken(ran)
    if found and not contracts:
        return [f"{name} {each}: say in `contracts` why no running code uses it" for each in found]
    if contracts and not found:
        return [f"{name} says `contracts`, and takes nothing away"]
    if found and any(EXPANDS.search(each) for each in ran):
        return [f"{name} expands and contracts at once: that is two releases"]
    return []


def contracts_of(service: str) -> dict[str, str]:
    """The sentence of each migration, by revision."""
    history = ScriptDirectory.from_config(configuration(service, URL.create("postgresql")))
    return {
        each.revision: str(getattr(each.module, "contracts", ""))
        for each in history.walk_revisions()
    }
