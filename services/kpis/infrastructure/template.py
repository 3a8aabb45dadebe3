"""A KPI's template becomes a query that can do no harm.

The text is parsed, every node of the tree has to be on a list of allowed ones, and the query that
runs is generated from the tree: no comment, quoting or trick of the original text survives.
"""

import logging
import re
from dataclasses import dataclass

from sqlglot import exp
from sqlglot.dialects.postgres import Postgres
from sqlglot.errors import SqlglotError
from sqlglot.parsers.postgres import PostgresParser

from services.kpis.domain.errors import (
    AliasRenamesColumns,
    LiteralNotPlain,
    NameNotPlain,
    NotOneSelect,
    PartNotAllowed,
    TableNotPlain,
    TemplateTooDeep,
    TemplateTooLong,
    TemplateUnreadable,
    UnknownColumn,
    UnknownTable,
    UnknownTemplateParameter,
    WithMisplaced,
    WithNameTaken,
)
from services.kpis.infrastructure.published_views import SCHEMA, VIEWS
from services.kpis.infrastructure.sql_subset import EXPRESSIONS, TYPES
from services.kpis.infrastructure.units import units_of

logging.getLogger("sqlglot").setLevel(logging.ERROR)  # its warnings repeat the template

MAX_LENGTH = 4000
MAX_DEPTH = 40
MAX_STEPS = 30_000
_NAME = re.compile(r"[a-z_][a-z0-9_]{0,62}")
_NUMBER = re.compile(r"\d{1,30}(\.\d{0,30})?|\.\d{1,30}")
_TEXT = re.compile(r"[^\\\x00-\x1f]*")  # without a backslash, quoting has one meaning


@dataclass(frozen=True)
class SafeQuery:
    """`sql` takes the tenant as $1 and, where `needs_month`, the month as $2. `units` holds the
    unit of each column, where the columns are written out.
    """

    sql: str
    needs_month: bool
    units: tuple[str, ...] | None


class TooManySteps(Exception):
    """The parser has taken more than MAX_STEPS steps."""


class BoundedParser(PostgresParser):
    """This parser stops early. Where a text can be read in several ways it tries them all, and some
    short texts would keep it busy for hours. An ordinary template takes a few hundred steps.
    """

    _steps = 0

    def _advance(self, times: int = 1) -> None:
        self._steps += 1
        if self._steps > MAX_STEPS:
            raise TooManySteps
        super()._advance(times)


def checked_template(template: str) -> str:
    """Return the template unchanged. Raises UnsafeTemplate."""
    safe_query(template, max_rows=1)
    return template


def safe_query(template: str, max_rows: int) -> SafeQuery:
    """Return the template as a subquery over one tenant's rows. The query returns at most one row
    more than allowed, which shows that there are too many.

    Raises UnsafeTemplate.
    """
    try:
        select = _parse(template)
        _normalise_names(select)
        for node in select.walk():
            _check(node)
        _check_tables(select)
        _check_columns(select)
        needs_month = select.find(exp.Placeholder) is not None
        units = units_of(select)
        inner = _rewritten(select).sql(dialect="postgres", comments=False)
    except RecursionError:
        raise TemplateTooDeep(most=MAX_DEPTH) from None
    limited = f"SELECT * FROM ({inner}) AS kpi LIMIT {max_rows + 1}"  # noqa: S608
    return SafeQuery(limited, needs_month, units)


def _parse(template: str) -> exp.Select:
    if len(template) > MAX_LENGTH:
        raise TemplateTooLong(most=MAX_LENGTH)
    if _deepest(template) > MAX_DEPTH:
        raise TemplateTooDeep(most=MAX_DEPTH)
    postgres = Postgres()
    try:
        statements = BoundedParser(dialect=postgres).parse(postgres.tokenize(template), template)
    except (TooManySteps, SqlglotError):
        raise TemplateUnreadable from None
    if len(statements) != 1 or not isinstance(statements[0], exp.Select):
        raise NotOneSelect
    return statements[0]


def _deepest(template: str) -> int:
    depth = deepest = 0
    for character in template:
        depth += (character in "([") - (character in ")]")
        deepest = max(deepest, depth)
    return deepest


def _normalise_names(select: exp.Select) -> None:
    """Write every name as Postgres reads it, in lower case unless quoted. Then quote all names."""
    for identifier in list(select.find_all(exp.Identifier)):
        name = identifier.name if identifier.quoted else identifier.name.lower()
        if not _NAME.fullmatch(name):
            raise NameNotPlain
        identifier.replace(exp.to_identifier(name, quoted=True))


def _check(node: exp.Expr) -> None:
    if type(node) not in EXPRESSIONS:
        called = node.name if isinstance(node, exp.Anonymous) else type(node).__name__
        raise PartNotAllowed(name=called[:63])
    if isinstance(node, exp.Literal):
        allowed = _TEXT if node.is_string else _NUMBER
        if not allowed.fullmatch(node.name):
            raise LiteralNotPlain
    if isinstance(node, exp.TableAlias) and node.columns:
        raise AliasRenamesColumns
    if isinstance(node, exp.Placeholder) and node.name != "month":
        raise UnknownTemplateParameter
    if isinstance(node, exp.DataType) and node.this not in TYPES:
        raise PartNotAllowed(name=node.sql(dialect="postgres")[:63])
    if isinstance(node, exp.With) and (node.args.get("recursive") or node.find_ancestor(exp.With)):
        raise WithMisplaced


def _check_tables(select: exp.Select) -> None:
    """Refuse all tables but published views and parts of the top-level WITH that are defined
    before. Postgres would look up another name elsewhere, in the catalogue.
    """
    with_ = select.args.get("with_")
    named: list[str] = []
    if select.find(exp.With) is not with_:
        raise WithMisplaced
    for part in with_.expressions if with_ else []:
        _check_sources(part, named)
        if part.alias in VIEWS or part.alias in named or part.alias.startswith("pg_"):
            raise WithNameTaken(name=part.alias)
        named.append(part.alias)
    _check_sources(select, named, outside=with_)


def _check_sources(tree: exp.Expr, named: list[str], outside: exp.Expr | None = None) -> None:
    for table in tree.find_all(exp.Table):
        if outside is not None and table.find_ancestor(exp.With) is outside:
            continue
        if not isinstance(table.this, exp.Identifier) or table.db or table.catalog:
            raise TableNotPlain
        if table.name not in VIEWS and table.name not in named:
            raise UnknownTable(name=table.name, known=", ".join(VIEWS))


def _check_columns(select: exp.Select) -> None:
    """Refuse unknown columns: Postgres would read `view.name` as a function call."""
    known = {column for columns in VIEWS.values() for column in columns}
    known.update(alias.alias for alias in select.find_all(exp.Alias))
    for column in select.find_all(exp.Column):
        if isinstance(column.this, exp.Identifier) and column.name not in known:
            raise UnknownColumn(name=column.name)


def _rewritten(select: exp.Select) -> exp.Select:
    """Return the checked tree with bound parameters, and with one tenant's rows in place of each
    view.

    The nodes to replace are listed first, because a walk would skip the children of a replaced
    node.
    """
    for placeholder in list(select.find_all(exp.Placeholder)):
        placeholder.replace(_parameter(2))
    for table in list(select.find_all(exp.Table)):
        if table.name in VIEWS:
            table.replace(_of_one_tenant(table))
    return select


def _of_one_tenant(table: exp.Table) -> exp.Expr:
    columns = [exp.column(name, quoted=True) for name in VIEWS[table.name]]
    view = exp.table_(table.name, db=SCHEMA, quoted=True)
    own = exp.EQ(this=exp.column("tenant_id", quoted=True), expression=_parameter(1))
    alias = exp.to_identifier(table.alias_or_name, quoted=True)
    rows = exp.select(*columns).from_(view).where(own).subquery(alias)
    for join in table.args.get("joins") or []:
        rows.append("joins", join)
    return rows


def _parameter(number: int) -> exp.Expr:
    return exp.cast(exp.Parameter(this=exp.Literal.number(number)), "text")
