"""What the use cases need from outside: the repository, the gateway, a way to publish."""

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
        """Insert the payment and set its `expires_at`. Returns False when the purchase has a record
        already.
        """

    async def add_or_lock(self, tombstone: Payment) -> Payment:
        """The purchase's record, locked; the tombstone itself where there was none."""

    async def lock(self, order_id: UUID) -> Payment:
        """Raises PaymentNotFound."""

    async def find_locked(self, order_id: UUID) -> Payment | None:
        """Like `lock`, for a purchase whose payment may never have begun."""

    async def lock_by_id(self, tenant_id: str, payment_id: UUID) -> Payment:
        """Raises PaymentNotFound."""

    async def lock_by_code(self, tenant_id: str, code: str) -> tuple[Payment, bool]:
        """The payment, and whether its time is over. Raises PaymentCodeNotFound."""

    async def lock_overdue(self, limit: int) -> Sequence[Payment]:
        """Pending payments past their time, except those that are locked already."""

    async def claim_calls(self, limit: int, lease: timedelta) -> Sequence[Payment]:
        """Payments whose call of the gateway is due, except those that are locked already. Each
        claim counts as an attempt, has an id of its own, and the call is due again when the lease
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
        """Payments in the order of their ids, which is the order of their creation."""


class PaymentsUnitOfWork(Protocol):
    @property
    def payments(self) -> PaymentRepository: ...

    def publish(self, *events: DomainEvent) -> None: ...


class Gateway(Protocol):
    """Moves money. The same key returns the first result again, also when its answer was lost.

    Both calls may also fail in any way, or not return: then nobody knows whether money moved.
    """

    async def charge(
        self, key: str, *, order_id: UUID, amount_cents: int, method: str
    ) -> Approved | Declined: ...

    async def refund(
        self, key: str, *, charge_reference: str, amount_cents: int
    ) -> Approved | Declined: ...
