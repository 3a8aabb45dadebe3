"""A customer's credit, in cents, always obeys `available + reserved + consumed = limit`."""

from dataclasses import dataclass

from services.customers.domain.errors import CreditLimitBelowUse


@dataclass(frozen=True)
class Credit:
    limit_cents: int
    reserved_cents: int = 0
    consumed_cents: int = 0

    @property
    def in_use_cents(self) -> int:
        return self.reserved_cents + self.consumed_cents

    @property
    def available_cents(self) -> int:
        return self.limit_cents - self.in_use_cents

    def with_limit(self, limit_cents: int) -> "Credit":
        """Return the credit with this limit. Raises CreditLimitBelowUse, which names the lowest."""
        if limit_cents < self.in_use_cents:
            raise CreditLimitBelowUse(field="limit_cents", used_cents=self.in_use_cents)
        return Credit(limit_cents, self.reserved_cents, self.consumed_cents)
