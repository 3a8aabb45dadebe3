"""A KPI may use this part of SQL; everything that is not named here is refused.

These are left out on purpose: functions with side effects, user-defined functions, set-returning
functions, whatever makes long text or huge numbers from little (`||`, repeat, power), locks, INTO,
and statements that write.
"""

from sqlglot import exp

_QUERY: set[type[exp.Expr]] = {
    exp.Select,
    exp.Subquery,
    exp.With,
    exp.CTE,
    exp.From,
    exp.Join,
    exp.Where,
    exp.Group,
    exp.Having,
    exp.Order,
    exp.Ordered,
    exp.Limit,
    exp.Offset,
    exp.Distinct,
    exp.Table,
    exp.TableAlias,
    exp.Alias,
    exp.Column,
    exp.Identifier,
    exp.Star,
    exp.Placeholder,
}
_VALUES: set[type[exp.Expr]] = {
    exp.Literal,
    exp.Boolean,
    exp.Null,
    exp.Paren,
    exp.Case,
    exp.If,
    exp.Cast,
    exp.DataType,
}
_CONDITIONS: set[type[exp.Expr]] = {
    exp.And,
    exp.Or,
    exp.Not,
    exp.EQ,
    exp.NEQ,
    exp.GT,
    exp.GTE,
    exp.LT,
    exp.LTE,
    exp.Is,
    exp.In,
    exp.Between,
    exp.Exists,
    exp.Like,
}
_ARITHMETIC: set[type[exp.Expr]] = {
    exp.Add,
    exp.Sub,
    exp.Mul,
    exp.Div,
    exp.Mod,
    exp.Neg,
    exp.Round,
    exp.Abs,
    exp.Floor,
    exp.Ceil,
    exp.Coalesce,
    exp.Nullif,
    exp.Greatest,
    exp.Least,
}
_AGGREGATES: set[type[exp.Expr]] = {
    exp.Count,
    exp.Sum,
    exp.Avg,
    exp.Min,
    exp.Max,
    exp.PercentileCont,
    exp.PercentileDisc,
    exp.WithinGroup,
    exp.Filter,
}

EXPRESSIONS = frozenset(_QUERY | _VALUES | _CONDITIONS | _ARITHMETIC | _AGGREGATES)

TYPES = frozenset(
    {
        exp.DataType.Type.TEXT,
        exp.DataType.Type.INT,
        exp.DataType.Type.BIGINT,
        exp.DataType.Type.DECIMAL,
        exp.DataType.Type.DOUBLE,
        exp.DataType.Type.BOOLEAN,
        exp.DataType.Type.DATE,
    }
)
