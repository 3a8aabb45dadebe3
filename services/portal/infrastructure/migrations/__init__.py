"""The migrations are the history of the tables; `metadata` describes their present form."""

import re

from libs.messaging.schema import partitions
from services.portal.infrastructure.tables import metadata

__all__ = ["include_name", "metadata"]

MONTHS = re.compile(r"(audits|timeline)_(\d{6}|default)")


def include_name(name: str | None, kind: str, parents: object) -> bool:
    """Leave out the portal's monthly partitions, beside the library's daily ones."""
    if kind == "table" and name is not None and MONTHS.fullmatch(name):
        return False
    return partitions.include_name(name, kind, parents)
