"""The history of the tables; `metadata` is what they are now."""

from services.payouts.infrastructure.sandbox_bank import transfers

metadata = transfers.metadata
