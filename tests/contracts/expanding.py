"""Finds what a migration takes from the code of the previous release, which still runs after it.

A schema changes in two releases: the first expands it, so that the code before and after can use
it; the second, when nothing uses what is left over, contracts it. A migration that contracts says
so in a variable of its module, `contracts`: a sentence on why no running code needs it any more.
"""

import re
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from alembic.script import ScriptDirectory
from sqlalchemy import URL, Connection, event

from libs.messaging.database_url import parse_database_url
from libs.runtime.migrations import configuration, migrate


def sql(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.IGNORECASE)


VERSION = sql(r"(?:INSERT INTO|UPDATE) alembic_version .*?'(\w+)'")
EXPANDS = sql(r"^CREATE (?:UNLOGGED )?TABLE|\bADD COLUMN\b")
NAME = r'(?:IF (?:NOT )?EXISTS )?(?:ONLY )?"?(?P<name>[\w.]+)"?'
TABLE_OR_VIEW = r"(?:TABLE|(?:MATERIALIZED )?VIEW)"
FUNCTION = r"(?:FUNCTION|PROCEDURE)"
CREATED = sql(rf"\bCREATE (?:OR REPLACE |UNLOGGED )?(?:{TABLE_OR_VIEW}|{FUNCTION}) {NAME}")
TAKEN = {
    "drops the table": sql(rf"^DROP TABLE {NAME}"),
    "drops the view": sql(rf"^DROP (?:MATERIALIZED )?VIEW {NAME}"),
    "drops a column of": sql(rf"^ALTER TABLE {NAME}.*\bDROP COLUMN\b"),
    "drops the type": sql(rf"^DROP (?:TYPE|DOMAIN) {NAME}"),
    "drops the sequence": sql(rf"^DROP SEQUENCE {NAME}"),
    "renames": sql(rf"^ALTER (?:{TABLE_OR_VIEW}|{FUNCTION}|TYPE|SEQUENCE) {NAME}.*\bRENAME\b"),
    "moves": sql(rf"^ALTER (?:{TABLE_OR_VIEW}|{FUNCTION}|TYPE|SEQUENCE) {NAME}.*\bSET SCHEMA\b"),
    "changes a type in": sql(rf"^ALTER TABLE {NAME}.*\bALTER (?:COLUMN )?\S+ (?:SET DATA )?TYPE\b"),
    "wants a value, which the code before does not write, in": sql(
        rf"^ALTER TABLE {NAME}.*\bALTER (?:COLUMN )?\S+ SET NOT NULL"
    ),
    "takes a default from": sql(rf"^ALTER TABLE {NAME}.*\bALTER (?:COLUMN )?\S+ DROP DEFAULT"),
}
FUNCTION_DROPPED = sql(rf"^DROP {FUNCTION} {NAME}")
ALTERED = sql(rf"^ALTER TABLE {NAME}")
ADDED = sql(r"\bADD COLUMN (?:IF NOT EXISTS )?(?P<column>\S+) (?P<kind>[^,]*)")
UNIQUE = sql(r"^CREATE UNIQUE INDEX (?:CONCURRENTLY )?(?:IF NOT EXISTS )?\"?(?P<index>\w+)")
UNIQUE_CONSTRAINT = sql(r"\bCONSTRAINT \"?(?P<index>\w+)\"? (?:UNIQUE|PRIMARY KEY)")
UNIQUE_DROPPED = sql(r"\bDROP (?:CONSTRAINT|INDEX) (?:CONCURRENTLY )?(?:IF EXISTS )?\"?(\w+)")
BY_POSTGRES = ("_key", "_pkey")
"""Postgres ends the names of unnamed unique constraints with these."""
RULE = sql(
    r"\bADD (?:CONSTRAINT \"?(?P<rule>\w+)\"? )?"
    r"(?P<what>(?:CHECK|UNIQUE|PRIMARY KEY|FOREIGN KEY|EXCLUDE)\b.*)"
)
UNIQUE_ON = sql(rf"^CREATE UNIQUE INDEX .*?\bON {NAME}(?P<what>.*)")
DONE_AT_ONCE = sql(r"\bDO (?:LANGUAGE \w+ )?\$(?P<tag>\w*)\$(?P<body>.*?)\$(?P=tag)\$")
EXECUTED = sql(r"\bEXECUTE (?:format\()?'((?:[^']|'')*)'")
STEPS = sql(r"\b(?:BEGIN|THEN|ELSE|LOOP)\b")


def played(service: str, url: str) -> dict[str, list[str]]:
    """Run every migration on an empty database at `url`. Return the statements by revision."""
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
    """Return each statement in one line, without literals and comments. The content of a DO block
    counts, because it runs at once; the body of a function does not.
    """
    text = re.sub(DONE_AT_ONCE.pattern, _steps, sql, flags=re.DOTALL | re.IGNORECASE)
    text = re.sub(r"\$(\w*)\$.*?\$\1\$", "''", text, flags=re.DOTALL)
    text = re.sub(r"--[^\n]*", "", re.sub(r"'(?:[^']|'')*'", "''", text))
    return [" ".join(each.split()) for each in text.split(";") if each.strip()]


def _steps(block: re.Match[str]) -> str:
    return STEPS.sub(";", EXECUTED.sub(r";\1;", block["body"]))


def unique_indexes(ran: Sequence[str]) -> set[str]:
    """Return the names of the unique indexes that these statements make."""
    return {
        match["index"]
        for each in ran
        for pattern in (UNIQUE, UNIQUE_CONSTRAINT)
        for match in pattern.finditer(each)
    }


def taken(ran: Sequence[str], unique: Collection[str] = ()) -> list[str]:
    """Return what these statements take from the previous code. They may change what they have made
    themselves. `unique` are the unique indexes from before.
    """
    found: list[str] = []
    created: set[str] = set()
    for statement in ran:
        created |= {each["name"] for each in CREATED.finditer(statement)}
        for what, pattern in TAKEN.items():
            if (match := pattern.search(statement)) and match["name"] not in created:
                found.append(f"{what} {match['name']}")
        altered = ALTERED.search(statement)
        if altered is not None and altered["name"] not in created:
            found += _wanted(altered["name"], statement)
    return [*found, *_functions(ran), *_no_longer_unique(ran, unique), *_rules(ran, created)]


def _wanted(table: str, statement: str) -> Iterator[str]:
    """Yield the columns that the previous code would have to write."""
    for added in ADDED.finditer(statement):
        if _is_wanted(added["kind"]):
            yield f"adds {table}.{added['column']}, which has to have a value and gets none from it"


def _is_wanted(kind: str) -> bool:
    kind = kind.upper()
    return "NOT NULL" in kind and not re.search(r"\b(?:DEFAULT|GENERATED)\b", kind)


def _functions(ran: Sequence[str]) -> Iterator[str]:
    """Yield the functions that are dropped and not made again."""
    made = {match["name"] for each in ran for match in CREATED.finditer(each)}
    for each in ran:
        if (dropped := FUNCTION_DROPPED.search(each)) and dropped["name"] not in made:
            yield f"drops the function {dropped['name']}"


def _no_longer_unique(ran: Sequence[str], unique: Collection[str]) -> Iterator[str]:
    """Yield the dropped unique indexes, because ON CONFLICT fails without its index."""
    made = unique_indexes(ran)
    for each in ran:
        for index in UNIQUE_DROPPED.findall(each):
            if (index in unique or index.endswith(BY_POSTGRES)) and index not in made:
                yield f"drops the unique index {index}"


def _rules(ran: Sequence[str], created: Collection[str]) -> Iterator[str]:
    """Yield rules that rows of the previous code may break. A rule about a new column is left out,
    because that code does not write the column. A rule that replaces one of the same name is left
    out too, because it may be wider: a reviewer compares these two.
    """
    everything = "; ".join(ran)
    columns = [match["column"].strip('"') for match in ADDED.finditer(everything)]
    for each in ran:
        table, rule = ALTERED.search(each), RULE.search(each)
        if rule is None or table is None:
            table = rule = UNIQUE_ON.search(each)
        if rule is None or table is None or table["name"] in created:
            continue
        name = rule.groupdict().get("rule")
        replaced = name and re.search(rf"\bDROP CONSTRAINT (?:IF EXISTS )?\"?{name}\b", everything)
        if not replaced and not any(re.search(rf"\b{new}\b", rule["what"]) for new in columns):
            yield f"adds a rule to {table['name']}, which the code before does not know"


def problems(
    name: str, ran: Sequence[str], contracts: str, unique: Collection[str] = ()
) -> list[str]:
    """Return what this migration takes without saying so, and a `contracts` sentence although it
    takes nothing. `contracts` is the sentence of its module, empty where there is none; `unique` is
    the same as in `taken`.
    """
    found = taken(ran, unique)
    if found and not contracts:
        why = "say in `contracts` why that harms no running code"
        return [f"{name} {each}: {why}" for each in found]
    if contracts and not found:
        return [f"{name} says `contracts`, and takes nothing away"]
    if found and any(EXPANDS.search(each) for each in ran):
        return [f"{name} expands and contracts at once: that is two releases"]
    return []


def contracts_of(service: str) -> dict[str, str]:
    """Return the `contracts` sentence of each migration, by revision."""
    history = ScriptDirectory.from_config(configuration(service, URL.create("postgresql")))
    return {
        each.revision: str(getattr(each.module, "contracts", ""))
        for each in history.walk_revisions()
    }
