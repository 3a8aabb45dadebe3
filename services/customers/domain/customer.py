"""A customer has credit, and personal data until it is erased."""

from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from libs.kernel.errors import StaleVersion
from services.customers.domain.credit import Credit
from services.customers.domain.credit_request import CreditRequest
from services.customers.domain.errors import (
    CreditRequestTooLow,
    CustomerNotFound,
    NoCreditRequest,
    PersonalDataUnreadable,
    RegisteredWithAnotherDocument,
)
from services.customers.domain.events import (
    CustomerErased,
    CustomerRegistered,
    CustomerUpdated,
)
from services.customers.domain.personal_data import PersonalData
from services.events import MarketEvent


@dataclass
class Customer:
    """`personal` is None once the customer is erased. `version`, the ETag, counts the writes of
    clients; `sequence` counts events. Reservations move the credit and change neither counter,
    because they belong to the purchase.
    """

    id: UUID
    tenant_id: str
    personal: PersonalData | None
    credit: Credit
    created_at: datetime
    updated_at: datetime
    version: int = 1
    sequence: int = 0
    user_id: UUID | None = None
    """The user whose own record this is, or None where somebody else registered the customer."""
    credit_request: CreditRequest | None = None

    @property
    def is_erased(self) -> bool:
        return self.personal is None

    def present(self) -> PersonalData:
        """Return the personal data. Raises CustomerNotFound when it is erased, because clients may
        not see that the customer existed.
        """
        if self.personal is None:
            raise CustomerNotFound
        return self.personal

    def check_version(self, expected: int) -> None:
        """Raise StaleVersion when the caller has seen another version."""
        if expected != self.version:
            raise StaleVersion

    def register(self) -> list[MarketEvent]:
        self.sequence += 1
        return [
            CustomerRegistered(
                tenant_id=self.tenant_id, sequence=self.sequence, customer_id=self.id
            )
        ]

    def edit(self, changes: dict[str, str], now: datetime) -> list[MarketEvent]:
        """Change fields of PersonalData to values in normal form. Publishes no event when none of
        them differs.

        Raises PersonalDataUnreadable where a field that does not change cannot be read.
        """
        personal = self.present()
        changed = tuple(sorted(n for n in changes if getattr(personal, n) != changes[n]))
        if not changed:
            return []
        edited = replace(personal, **changes)
        if not edited.is_readable:
            raise PersonalDataUnreadable
        self.personal = edited
        return self._updated(changed, now)

    def register_again(self, personal: PersonalData, now: datetime) -> list[MarketEvent]:
        """Store the data that the user sends again, perhaps corrected. The document cannot change.
        Raises RegisteredWithAnotherDocument, PersonalDataUnreadable.
        """
        known = self.present().document
        if known is None:
            raise PersonalDataUnreadable
        if personal.document != known:
            raise RegisteredWithAnotherDocument(field="document")
        return self.edit(
            {name: getattr(personal, name) for name in ("name", "email", "phone")}, now
        )

    def change_limit(self, limit_cents: int, now: datetime) -> list[MarketEvent]:
        """Set the limit, which also answers an open request for credit. Publishes no event when the
        limit is the same. Raises CreditLimitBelowUse.
        """
        if limit_cents == self.credit.limit_cents:
            return []
        self.credit = self.credit.with_limit(limit_cents)
        self.credit_request = None
        return self._updated(("credit_limit_cents",), now)

    def ask_for_credit(self, wanted_cents: int, now: datetime) -> list[MarketEvent]:
        """Record the request in place of the last one. The same request again publishes no event.
        Raises CreditRequestTooLow.
        """
        if wanted_cents <= self.credit.limit_cents:
            raise CreditRequestTooLow(field="wanted_limit_cents")
        known = self.credit_request
        if known and known.is_open and known.wanted_cents == wanted_cents:
            return []
        self.credit_request = CreditRequest(wanted_cents, now)
        return self._updated(("credit_request",), now)

    def decline_credit(self, now: datetime) -> list[MarketEvent]:
        """Decline the open request. Raises NoCreditRequest where there is none."""
        known = self.credit_request
        if known is None or not known.is_open:
            raise NoCreditRequest
        self.credit_request = replace(known, declined_at=now)
        return self._updated(("credit_request",), now)

    def erase(self, now: datetime) -> list[MarketEvent]:
        self.personal, self.user_id, self.credit_request = None, None, None
        self._touch(now)
        return [
            CustomerErased(tenant_id=self.tenant_id, sequence=self.sequence, customer_id=self.id)
        ]

    def _updated(self, changed: tuple[str, ...], now: datetime) -> list[MarketEvent]:
        self._touch(now)
        return [
            CustomerUpdated(
                tenant_id=self.tenant_id,
                sequence=self.sequence,
                customer_id=self.id,
                changed=changed,
            )
        ]

    def _touch(self, now: datetime) -> None:
        self.version += 1
        self.sequence += 1
        self.updated_at = now
