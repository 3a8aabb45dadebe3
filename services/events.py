"""Every event of the marketplace carries a tenant and, within a purchase, the order's id."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Protocol
from uuid import UUID

from libs.kernel.events import DomainEvent

TENANT = "tenantid"
"""This CloudEvents extension attribute names the tenant. Every event has one."""


@dataclass(frozen=True, kw_only=True)
class MarketEvent(DomainEvent):
    """A `MarketEvent` is a fact about something that belongs to one tenant."""

    extensions: ClassVar[Mapping[str, str]] = {TENANT: "tenant_id"}
    schema_prefix: ClassVar[str] = "urn:mercado-veiculo:"

    tenant_id: str


@dataclass(frozen=True, kw_only=True)
class PurchaseEvent(MarketEvent):
    """A fact about one purchase has the order as its subject, whichever service publishes it."""

    order_id: UUID

    @property
    def subject(self) -> UUID:
        return self.order_id

    @property
    def correlation_id(self) -> UUID:
        return self.order_id


class HasExtensions(Protocol):
    """A received event has its CloudEvents extension attributes by name."""

    @property
    def extensions(self) -> Mapping[str, str]: ...


def tenant_of(event: HasExtensions) -> str:
    """Return the tenant of a received event. Reactions are registered with `TENANT` as required."""
    return event.extensions[TENANT]
