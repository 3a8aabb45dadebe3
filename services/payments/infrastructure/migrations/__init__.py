"""The history of the tables; `metadata` is what they are now."""

from services.payments.infrastructure.sandbox_gateway import operations

metadata = operations.metadata
