"""The migrations are the history of the tables; `metadata` describes their present form."""

from services.payouts.infrastructure.sandbox_bank import transfers

metadata = transfers.metadata
