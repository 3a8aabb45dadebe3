"""Payouts reads these settings from the environment, beside those of every service."""

from typing import ClassVar

from pydantic import Field

from libs.calls.settings import CallSettings
from libs.calls.worker import CallTerms
from services.payouts.domain.bank import BankPolicy
from services.settings import MarketSettings


class PayoutsSettings(CallSettings, MarketSettings):
    called: ClassVar[str] = "bank"

    service: str = "payouts"
    port: int = 8084

    bank_concurrency: int = Field(default=16, ge=1, le=256)
    bank_patience_seconds: float = Field(default=5, gt=0)
    """A call that takes longer counts as unanswered and is repeated with its key."""
    bank_lease_seconds: float = Field(default=30, gt=0)
    """When a worker dies in a call, another one repeats the call after this time."""
    bank_first_retry_seconds: float = Field(default=1, gt=0)
    bank_longest_retry_seconds: float = Field(default=300, gt=0)
    bank_tries: int = Field(default=3, ge=1)
    """After this many calls a refusal makes the payout fail."""
    bank_silent_tries: int = Field(default=5, ge=1)
    """After this many calls without an answer a payout needs a person. It is still tried again."""
    sandbox_bank_latency_seconds: float = Field(default=0, ge=0)

    @property
    def bank_terms(self) -> CallTerms[BankPolicy]:
        return self.call_terms(BankPolicy, tries=self.bank_tries)
