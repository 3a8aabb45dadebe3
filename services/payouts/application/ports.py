"""The use cases need these ports: the repository, the bank, and a way to publish events."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Protocol
from uuid import UUID

from libs.kernel.events import DomainEvent
from services.payouts.domain.bank import Paid, Refused
from services.payouts.domain.payout import Payout, Status


class PayoutRepository(Protocol):
    """Every lock is held until the transaction ends. Times are those of the database's clock."""

    async def was_processed(self, tenant_id: str, external_id: str) -> bool:
        """Return whether there is a payout of this id already, in any state."""

    async def add(self, payout: Payout) -> bool:
        """Insert the payout. Returns False when its tenant has one of its `external_id` already.
        When several add the same id at once, exactly one gets True.
        """

    async def get(self, tenant_id: str, external_id: str) -> Payout:
        """Return the payout. Raises PayoutNotFound."""

    async def lock(self, payout_id: UUID) -> Payout:
        """Lock and return the payout. Raises PayoutNotFound."""

    async def lock_by_external_id(self, tenant_id: str, external_id: str) -> Payout:
        """Lock and return the payout. Raises PayoutNotFound."""

    async def claim_calls(self, limit: int, lease: timedelta) -> Sequence[Payout]:
        """Claim payouts whose call of the bank is due, except those that are locked already. Each
        claim counts as an attempt and has its own id. The call is due again when the lease ends.
        """

    async def save(self, payout: Payout) -> None:
        """Write the changes of a payout that was locked before."""

    async def page(
        self,
        tenant_id: str,
        after: UUID | None,
        limit: int,
        *,
        seller_id: UUID | None,
        status: Status | None,
        needs_attention: bool | None,
    ) -> Sequence[Payout]:
        """Return payouts older than `after`, newest first, of one seller where one is named."""


class PayoutsUnitOfWork(Protocol):
    @property
    def payouts(self) -> PayoutRepository: ...

    def publish(self, *events: DomainEvent) -> None: ...


class Bank(Protocol):
    """A bank pays sellers. The same key moves money at most once, also when answers were lost.

    A refusal is not final: called again under its key, the bank decides again. A call may also fail
    in any way, or not return: then nobody knows whether money moved.
    """

    async def pay(
        self, key: str, *, external_id: str, seller_id: UUID | None, amount_cents: int
    ) -> Paid | Refused: ...
