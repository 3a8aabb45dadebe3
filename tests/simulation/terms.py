"""Holds the settings of the simulated services."""

from datetime import timedelta

from services.orders.domain.deadlines import Deadlines
from services.payments.application.generate_payment_code import CodeTerms

DEADLINES = Deadlines()
MOST_OPEN = 5
PRICE_CENTS = 5_000_000
TERMS = CodeTerms(timedelta(minutes=15), gateway_limit_cents=PRICE_CENTS * 3 // 2)
"""The gateway takes the price of most vehicles. It does not take twice as much."""
