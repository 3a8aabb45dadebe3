"""Kpis refuses requests with these errors."""

from libs.kernel.errors import Conflict, Invalid, NotFound


class KpiNotFound(NotFound):
    """The tenant has no KPI of this id, neither its own nor a shipped one."""

    code = "kpi-not-found"
    text = "There is no such KPI."


class KpiExists(Conflict):
    """The tenant has a KPI of this id already, its own or a shipped one."""

    code = "kpi-exists"
    text = "There is a KPI of this id."


class UnsafeTemplate(Invalid):
    """The template is not one SELECT of allowed parts over the published views. Each rule has a
    class of its own below.
    """

    code = "unsafe-template"
    text = "The template is refused."

    def __init__(self, **params: str | int) -> None:
        super().__init__(None, field="sql_template", **params)


class TemplateTooLong(UnsafeTemplate):
    code = "template-too-long"
    text = "The template is longer than {most} characters."


class TemplateTooDeep(UnsafeTemplate):
    code = "template-too-deep"
    text = "The template is nested more than {most} deep."


class TemplateUnreadable(UnsafeTemplate):
    code = "template-unreadable"
    text = "The template cannot be read as SQL."


class NotOneSelect(UnsafeTemplate):
    code = "template-not-one-select"
    text = "The template is not one SELECT."


class NameNotPlain(UnsafeTemplate):
    code = "template-name-not-plain"
    text = "A name has to be of small letters, digits and underscores."


class PartNotAllowed(UnsafeTemplate):
    code = "template-part-not-allowed"
    text = "{name} is not allowed in a template."


class LiteralNotPlain(UnsafeTemplate):
    code = "template-literal-not-plain"
    text = "A literal is neither a plain number nor plain text."


class AliasRenamesColumns(UnsafeTemplate):
    code = "template-alias-renames-columns"
    text = "An alias cannot rename columns."


class UnknownTemplateParameter(UnsafeTemplate):
    code = "template-unknown-parameter"
    text = "The one parameter there is is :month."


class WithMisplaced(UnsafeTemplate):
    code = "template-with-misplaced"
    text = "WITH stands at the very beginning, once, and is not recursive."


class WithNameTaken(UnsafeTemplate):
    code = "template-with-name-taken"
    text = "WITH cannot name a part {name}."


class TableNotPlain(UnsafeTemplate):
    code = "template-table-not-plain"
    text = "A table is named by its name alone."


class UnknownTable(UnsafeTemplate):
    code = "template-unknown-table"
    text = "There is no {name}: there are {known}."


class UnknownColumn(UnsafeTemplate):
    code = "template-unknown-column"
    text = "There is no column {name}."


class MonthMissing(Invalid):
    """The template needs :month, and the caller gave none."""

    code = "month-missing"
    text = "This KPI is of one month: give it, as in ?month=2026-11."

    def __init__(self) -> None:
        super().__init__(field="month")


class KpiNotComputable(Invalid):
    """Postgres cannot compute the KPI: a division by zero, or a name or type that does not fit.
    `error` is what Postgres says.
    """

    code = "kpi-not-computable"
    text = "Postgres cannot compute it: {error}"


class CellIsNoFigure(Invalid):
    code = "kpi-cell-is-no-figure"
    text = "A column is of a kind that is no figure."


class KpiTooSlow(Invalid):
    """The computation took longer than allowed and was stopped."""

    code = "kpi-too-slow"
    text = "It takes longer than {seconds} seconds."


class KpiTooLarge(Invalid):
    """The result, or the memory it takes, is larger than allowed."""

    code = "kpi-too-large"
    text = "The result is larger than a KPI may be: at most {rows} rows and {columns} columns."


class KpiIdTaken(Invalid):
    """The id is the same as the address of the active KPIs."""

    code = "kpi-id-taken"
    text = "This id is the address of the active KPIs."
