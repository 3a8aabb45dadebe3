"""What payments reads from the environment, beside the settings of every service."""

from datetime import timedelta
from typing import Self

from pydantic import Field, model_validator

from services.payments.application.generate_payment_code import USUAL_TERMS, CodeTerms
from services.payments.domain.gateway import RetryPolicy
from services.payments.infrastructure.gateway_worker import GatewayTerms
from services.settings import MarketSettings


class PaymentsSettings(MarketSettings):
    service: str = "payments"
    port: int = 8082

    code_lifetime_seconds: float = Field(default=USUAL_TERMS.lifetime.total_seconds(), gt=0)
    gateway_limit_cents: int = Field(default=USUAL_TERMS.gateway_limit_cents, gt=0)
    """The largest amount the gateway takes; above it there is no payment code."""
    gateway_concurrency: int = Field(default=16, ge=1, le=256)
    gateway_patience_seconds: float = Field(default=5, gt=0)
    """A call that takes longer counts as unanswered and is repeated with its key."""
    gateway_lease_seconds: float = Field(default=30, gt=0)
    """After a worker died in a call, another repeats it when this is over."""
    gateway_first_retry_seconds: float = Field(default=1, gt=0)
    gateway_longest_retry_seconds: float = Field(default=300, gt=0)
    gateway_refund_tries: int = Field(default=3, ge=1)
    """Failing tries after which a refund is said to need a person; it is retried on."""
    gateway_silent_tries: int = Field(default=5, ge=1)
    """Calls without an answer after which a charge is said to need a person; it is asked on."""
    card_tries: int = Field(default=1, ge=1, le=20)
    """Declined cards after which a payment has failed; until then the code can be paid again."""
    sandbox_latency_seconds: float = Field(default=0, ge=0)

    @model_validator(mode="after")
    def _lease_outlives_a_call(self) -> Self:
        if self.gateway_lease_seconds <= self.gateway_patience_seconds + 1:
            raise ValueError(
                "GATEWAY_LEASE_SECONDS must be more than a second above GATEWAY_PATIENCE_SECONDS"
            )
        return self

    @property
    def code_terms(self) -> CodeTerms:
        return CodeTerms(timedelta(seconds=self.code_lifetime_seconds), self.gateway_limit_cents)

    @property
    def gateway_terms(self) -> GatewayTerms:
        return GatewayTerms(
            concurrency=self.gateway_concurrency,
            patience=timedelta(seconds=self.gateway_patience_seconds),
            lease=timedelta(seconds=self.gateway_lease_seconds),
            policy=RetryPolicy(
                first=timedelta(seconds=self.gateway_first_retry_seconds),
                longest=timedelta(seconds=self.gateway_longest_retry_seconds),
                refund_tries=self.gateway_refund_tries,
                silent_tries=self.gateway_silent_tries,
                card_tries=self.card_tries,
            ),
        )
