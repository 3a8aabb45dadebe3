"""The units of a KPI's figures follow from the columns that they are computed from."""

from collections.abc import Mapping

from sqlglot import exp

CENTS, SECONDS, PERCENT, NOTHING = "cents", "seconds", "percent", ""
OF_VIEWS: Mapping[str, str] = {"amount": CENTS, "price": CENTS, "seconds": SECONDS}
"""These columns of published views have a unit."""

_KEEPS_ITS = (
    exp.Sum,
    exp.Avg,
    exp.Min,
    exp.Max,
    exp.Abs,
    exp.Round,
    exp.Floor,
    exp.Ceil,
    exp.Neg,
    exp.Paren,
    exp.Filter,
    exp.Cast,
    exp.Nullif,
)
"""These functions have the unit of their first operand."""
_OF_ALL = (exp.Add, exp.Sub, exp.Coalesce, exp.Greatest, exp.Least)
"""These have the unit of all operands that have one, if they agree."""


def units_of(select: exp.Select) -> tuple[str, ...] | None:
    """Return the unit of each column of the result, or None where the columns are not written out
    or are nested too deep.
    """
    try:
        return _units(select)
    except RecursionError:
        return None


def _units(select: exp.Select) -> tuple[str, ...] | None:
    known = dict(OF_VIEWS)
    with_ = select.args.get("with_")
    inside_out = reversed(list(select.find_all(exp.Subquery)))
    for part in [*(with_.expressions if with_ else []), *inside_out]:
        inner = part.this
        if isinstance(inner, exp.Select):
            for column in inner.selects:
                known[column.alias_or_name] = _unit(column, known)
    if any(column.is_star for column in select.selects):
        return None
    return tuple(_unit(column, known) for column in select.selects)


def unit_of_name(name: str) -> str:
    """Return the unit that a column's name states: `amount_cents`, `seconds`, `percent`."""
    ends = (CENTS, SECONDS, PERCENT)
    return next((unit for unit in ends if name == unit or name.endswith(f"_{unit}")), NOTHING)


def unit_of_column(name: str) -> str:
    """Return the unit of a column of a view, or the one that the column's name states."""
    return OF_VIEWS.get(name) or unit_of_name(name)


def _unit(node: exp.Expr, known: Mapping[str, str]) -> str:
    if isinstance(node, exp.Alias):
        return unit_of_name(node.alias) or _unit(node.this, known)
    if isinstance(node, exp.Column):
        return known.get(node.name) or unit_of_name(node.name)
    if isinstance(node, exp.WithinGroup):
        ordered = node.find(exp.Ordered)
        return _unit(ordered.this, known) if ordered else NOTHING
    if isinstance(node, exp.Case):
        branches = [each.args.get("true") for each in node.args.get("ifs") or []]
        return _common([*branches, node.args.get("default")], known)
    if isinstance(node, _KEEPS_ITS):
        return _unit(node.this, known)
    if isinstance(node, _OF_ALL):
        return _common(list(node.iter_expressions()), known)
    return NOTHING


def _common(nodes: list[exp.Expr | None], known: Mapping[str, str]) -> str:
    """Return the common unit. Plain numbers and nulls fit every unit."""
    parts = [each for each in nodes if each is not None]
    units = {_unit(each, known) for each in parts if not isinstance(each, (exp.Literal, exp.Null))}
    return units.pop() if len(units) == 1 else NOTHING
