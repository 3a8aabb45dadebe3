"""The migrations are the history of the tables; `metadata` describes their present form."""

from services.payments.infrastructure.sandbox_gateway import operations

metadata = operations.metadata
