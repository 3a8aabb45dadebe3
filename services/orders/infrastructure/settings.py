from datetime import timedelta

from pydantic import Field

from services.orders.domain.deadlines import Deadlines
from services.settings import MarketSettings


class OrdersSettings(MarketSettings):
    service: str = "orders"
    port: int = Field(default=8000, ge=0, le=65535)
    max_open_purchases: int = Field(default=5, ge=1)
    """A customer may have this many open purchases: nobody else can buy what they reserve."""
    deadline_before_code_seconds: float = Field(default=3600, gt=0)
    """The time from the request to the payment code, after which the purchase is given up."""
    deadline_after_code_expires_seconds: float = Field(default=900, gt=0)
    deadline_after_payment_seconds: float = Field(default=86_400, gt=0)
    """The time from the payment to the sale."""
    compensating_alert_seconds: float = Field(default=900, gt=0)
    """A compensation that takes longer raises an alert, which repeats at this interval."""
    deadline_scan_seconds: float = Field(default=1, gt=0)

    @property
    def deadlines(self) -> Deadlines:
        return Deadlines(
            before_code=timedelta(seconds=self.deadline_before_code_seconds),
            after_code_expires=timedelta(seconds=self.deadline_after_code_expires_seconds),
            after_payment=timedelta(seconds=self.deadline_after_payment_seconds),
            compensating=timedelta(seconds=self.compensating_alert_seconds),
        )
