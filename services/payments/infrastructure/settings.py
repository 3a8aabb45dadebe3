"""Payments reads these settings from the environment, beside those of every service."""

from datetime import timedelta
from typing import ClassVar

from pydantic import Field

from libs.calls.settings import CallSettings
from libs.calls.worker import CallTerms
from services.payments.application.generate_payment_code import USUAL_TERMS, CodeTerms
from services.payments.domain.gateway import GatewayPolicy
from services.settings import MarketSettings


class PaymentsSettings(CallSettings, MarketSettings):
    called: ClassVar[str] = "gateway"

    service: str = "payments"
    port: int = 8082

    code_lifetime_seconds: float = Field(default=USUAL_TERMS.lifetime.total_seconds(), gt=0)
    gateway_limit_cents: int = Field(default=USUAL_TERMS.gateway_limit_cents, gt=0)
    """The gateway takes no larger amount; for one there is no payment code."""
    gateway_concurrency: int = Field(default=16, ge=1, le=256)
    gateway_patience_seconds: float = Field(default=5, gt=0)
    """A call that takes longer counts as unanswered and is repeated with its key."""
    gateway_lease_seconds: float = Field(default=30, gt=0)
    """When a worker dies in a call, another one repeats the call after this time."""
    gateway_first_retry_seconds: float = Field(default=1, gt=0)
    gateway_longest_retry_seconds: float = Field(default=300, gt=0)
    gateway_refund_tries: int = Field(default=3, ge=1)
    """After this many failed calls a refund needs a person. It is still tried again."""
    gateway_silent_tries: int = Field(default=5, ge=1)
    """After this many calls without an answer a charge needs a person. It is still tried again."""
    card_tries: int = Field(default=1, ge=1, le=20)
    """After this many declined cards a payment has failed. Before, its code can be paid again."""
    sandbox_latency_seconds: float = Field(default=0, ge=0)

    @property
    def code_terms(self) -> CodeTerms:
        return CodeTerms(timedelta(seconds=self.code_lifetime_seconds), self.gateway_limit_cents)

    @property
    def gateway_terms(self) -> CallTerms[GatewayPolicy]:
        return self.call_terms(
            GatewayPolicy, refund_tries=self.gateway_refund_tries, card_tries=self.card_tries
        )
