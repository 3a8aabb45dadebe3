"""The migrations are the history of the tables; `metadata` describes their present form."""

from services.kpis.infrastructure.tables import metadata

__all__ = ["metadata"]
