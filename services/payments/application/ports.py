"""The use cases need these ports: the repository, the gateway, and a way to publish events."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Protocol
from uuid import UUID

from libs.kernel.events import DomainEvent
from services.payments.domain.gateway import Approved, Declined
from services.payments.domain.payment import Payment


class PaymentRepository(Protocol):
    """Every lock is held until the transaction ends. Times are those of the database's clock."""

    async def add(self, payment: Payment, *, code_lives: timedelta) -> bool:
        """Insert the payment and set its `expires_at`. Returns False where there is a record."""

    async def add_or_lock(self, tombstone: Payment) -> Payment:
        """Lock and return the purchase's record, which is the tombstone where there was none."""

    async def lock(self, order_id: UUID) -> Payment:
        """Lock and return the purchase's payment. Raises PaymentNotFound."""

    async def find_locked(self, order_id: UUID) -> Payment | None:
        """Do the same as `lock`, but return None for a purchase without a payment."""

    async def lock_by_id(self, tenant_id: str, payment_id: UUID) -> Payment:
        """Lock and return the payment of this id. Raises PaymentNotFound."""

    async def lock_by_code(self, tenant_id: str, code: str) -> tuple[Payment, bool]:
        """Lock the payment. Returns it and whether its time is over. Raises PaymentCodeNotFound."""

    async def lock_overdue(self, limit: int) -> Sequence[Payment]:
        """Lock and return overdue pending payments, except those that are locked already."""

    async def claim_calls(self, limit: int, lease: timedelta) -> Sequence[Payment]:
        """Claim payments whose call of the gateway is due, except those that are locked already.
        Each claim counts as an attempt and has its own id. The call is due again when the lease
        ends.
        """

    async def save(self, *payments: Payment) -> None: ...

    async def find(self, tenant_id: str, payment_id: UUID) -> Payment | None: ...

    async def find_by_code(self, tenant_id: str, code: str) -> Payment | None: ...

    async def find_by_order(self, tenant_id: str, order_id: UUID) -> Payment | None: ...

    async def page(
        self,
        tenant_id: str,
        after: UUID | None,
        limit: int,
        *,
        state: str | None,
        needs_attention: bool | None,
    ) -> Sequence[Payment]:
        """Return payments in the order of their ids, which is the order of their creation."""


class PaymentsUnitOfWork(Protocol):
    @property
    def payments(self) -> PaymentRepository: ...

    def publish(self, *events: DomainEvent) -> None: ...


class Gateway(Protocol):
    """A gateway moves money. The same key returns the first result again, also when its answer was
    lost.

    Both calls may also fail in any way, or not return: then nobody knows whether money moved.
    """

    async def charge(
        self, key: str, *, order_id: UUID, amount_cents: int, method: str
    ) -> Approved | Declined: ...

    async def refund(
        self, key: str, *, charge_reference: str, amount_cents: int
    ) -> Approved | Declined: ...
