"""The history of the tables; `metadata` is what they are now."""

from services.vehicles.infrastructure.tables import metadata

__all__ = ["metadata"]
