"""What payouts reads from the environment, beside the settings of every service."""

from datetime import timedelta
from typing import Self

from pydantic import Field, model_validator

from services.payouts.domain.bank import RetryPolicy
from services.payouts.infrastructure.bank_worker import BankTerms
from services.settings import MarketSettings


class PayoutsSettings(MarketSettings):
    service: str = "payouts"
    port: int = 8084

    bank_concurrency: int = Field(default=16, ge=1, le=256)
    bank_patience_seconds: float = Field(default=5, gt=0)
    """A call that takes longer counts as unanswered and is repeated with its key."""
    bank_lease_seconds: float = Field(default=30, gt=0)
    """After a worker died in a call, another repeats it when this is over."""
    bank_first_retry_seconds: float = Field(default=1, gt=0)
    bank_longest_retry_seconds: float = Field(default=300, gt=0)
    bank_tries: int = Field(default=3, ge=1)
    """Calls after which a refusal is taken for good."""
    bank_silent_tries: int = Field(default=5, ge=1)
    """Calls without an answer after which a payout is said to need a person; it is asked on."""
    sandbox_bank_latency_seconds: float = Field(default=0, ge=0)

    @model_validator(mode="after")
    def _lease_outlives_a_call(self) -> Self:
        if self.bank_lease_seconds <= self.bank_patience_seconds + 1:
            raise ValueError(
                "BANK_LEASE_SECONDS must be more than a second above BANK_PATIENCE_SECONDS"
            )
        return self

    @property
    def bank_terms(self) -> BankTerms:
        return BankTerms(
            concurrency=self.bank_concurrency,
            patience=timedelta(seconds=self.bank_patience_seconds),
            lease=timedelta(seconds=self.bank_lease_seconds),
            policy=RetryPolicy(
                first=timedelta(seconds=self.bank_first_retry_seconds),
                longest=timedelta(seconds=self.bank_longest_retry_seconds),
                tries=self.bank_tries,
                silent_tries=self.bank_silent_tries,
            ),
        )
