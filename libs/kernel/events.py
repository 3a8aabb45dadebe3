"""Domain events: facts in the past tense, caused by a method of an entity."""

from dataclasses import dataclass
from typing import ClassVar
from uuid import UUID


@dataclass(frozen=True, kw_only=True)
class DomainEvent:
    """A fact about one aggregate. The fields of a subclass are what goes on the wire as `data`.

    `type` is the wire name with its version, chosen once and never derived from the class:
    it is the CloudEvents type and the routing key.
    """

    type: ClassVar[str]

    tenant_id: str
    sequence: int
    """The aggregate's own counter: one more for each event it caused. Goes into the envelope."""

    @property
    def subject(self) -> UUID:
        """The aggregate this is about; all events of one subject keep their order."""
        raise NotImplementedError

    @property
    def purchase(self) -> UUID | None:
        """The order whose purchase this belongs to; None outside one."""
        return None


@dataclass(frozen=True, kw_only=True)
class PurchaseEvent(DomainEvent):
    """A fact about one purchase, whichever service states it: the subject is the order."""

    order_id: UUID

    @property
    def subject(self) -> UUID:
        return self.order_id

    @property
    def purchase(self) -> UUID:
        return self.order_id
