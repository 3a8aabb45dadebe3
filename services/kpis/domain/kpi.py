"""A KPI is a question to the published views, written as one SELECT."""

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from libs.kernel.errors import StaleVersion

EVERY_TENANT = ""
"""The shipped KPIs have this tenant. Every tenant has them until it changes its own copy."""


class Status(StrEnum):
    ACTIVE = "active"
    INACTIVE = "inactive"


@dataclass(frozen=True)
class KPI:
    """`sql_template` may use the named parameter `:month`, as in '2026-11'. `version`, the ETag,
    counts the writes of clients.
    """

    id: str
    name: str
    description: str
    sql_template: str
    owner: str
    status: str = Status.ACTIVE
    tenant_id: str = "default"
    version: int = 1

    def check_version(self, expected: int) -> None:
        """Raise StaleVersion when the caller has seen another version."""
        if expected != self.version:
            raise StaleVersion

    def changed(self, changes: dict[str, Any], tenant_id: str) -> "KPI":
        """Return the next version, which is the tenant's own even where this one is shipped. Where
        nothing differs, return this one.
        """
        if all(getattr(self, name) == value for name, value in changes.items()):
            return self
        return replace(self, **changes, tenant_id=tenant_id, version=self.version + 1)
