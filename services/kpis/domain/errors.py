"""What this service refuses, and why."""

from libs.kernel.errors import Conflict, Invalid, NotFound


class KpiNotFound(NotFound):
    """No such KPI for this tenant, neither of its own nor shipped."""

    code = "kpi-not-found"


class KpiExists(Conflict):
    """The tenant has, or is shipped, a KPI of this id."""

    code = "kpi-exists"


class UnsafeTemplate(Invalid):
    """The template is not one SELECT of allowed parts over the published views."""

    code = "unsafe-template"

    def __init__(self, message: str) -> None:
        super().__init__(message, field="sql_template")


class MonthMissing(Invalid):
    """The template asks for :month and the caller gave none."""

    code = "month-missing"

    def __init__(self) -> None:
        super().__init__("this KPI is of one month: give it, as in ?month=2026-11", field="month")


class KpiNotComputable(Invalid):
    """Postgres cannot compute it: a division by zero, a name or a type that does not fit."""

    code = "kpi-not-computable"


class KpiTooSlow(Invalid):
    """It took longer than a KPI may and was stopped."""

    code = "kpi-too-slow"


class KpiTooLarge(Invalid):
    """Its result has more rows than a KPI may have."""

    code = "kpi-too-large"
