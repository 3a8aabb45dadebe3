from datetime import timedelta

from pydantic import Field

from services.orders.domain.deadlines import Deadlines
from services.settings import MarketSettings


class OrdersSettings(MarketSettings):
    service: str = "orders"
    port: int = Field(default=8000, ge=0, le=65535)
    max_open_purchases: int = Field(default=5, ge=1)
    """Purchases one customer may have open at a time: what is reserved, nobody else can buy."""
    deadline_before_code_seconds: float = Field(default=3600, gt=0)
    """From the request to the payment code; past it the purchase is given up."""
    deadline_after_code_expires_seconds: float = Field(default=900, gt=0)
    deadline_after_payment_seconds: float = Field(default=86_400, gt=0)
    """From the payment to the sale."""
    compensating_alert_seconds: float = Field(default=900, gt=0)
    """How long a compensation may take before an alert, and the interval at which it repeats."""
    deadline_scan_seconds: float = Field(default=1, gt=0)

    @property
    def deadlines(self) -> Deadlines:
        return Deadlines(
            before_code=timedelta(seconds=self.deadline_before_code_seconds),
            after_code_expires=timedelta(seconds=self.deadline_after_code_expires_seconds),
            after_payment=timedelta(seconds=self.deadline_after_payment_seconds),
            compensating=timedelta(seconds=self.compensating_alert_seconds),
        )
