"""The header has these entries, each for the roles that see it."""

from dataclasses import dataclass

from services.portal.domain.user import ADMIN, BUYER, OPERATOR, SELLER, User
from services.portal.infrastructure.language.i18n import marked


@dataclass(frozen=True)
class Entry:
    """Users with any of `roles` see the entry. Without roles everyone sees it, signed in or not."""

    path: str
    label: str
    roles: tuple[str, ...] = ()


ENTRIES = (
    Entry("/", marked("Vehicles")),
    Entry("/purchases", marked("My purchases"), (BUYER,)),
    Entry("/sell", marked("Sell"), (SELLER, ADMIN)),
    Entry("/sales", marked("Sales"), (SELLER, ADMIN)),
    Entry("/all-purchases", marked("Purchases"), (OPERATOR, ADMIN)),
    Entry("/operations", marked("Operations"), (OPERATOR, ADMIN)),
    Entry("/map", marked("Map"), (OPERATOR, ADMIN)),
    Entry("/kpis", marked("KPIs"), (OPERATOR, ADMIN)),
    Entry("/imports", marked("Imports"), (SELLER, ADMIN)),
    Entry("/audits", marked("Audits"), (OPERATOR, ADMIN)),
    Entry("/users", marked("Users"), (ADMIN,)),
    Entry("/credit-requests", marked("Credit"), (ADMIN,)),
)


def entries_for(visitor: User | None) -> list[Entry]:
    return [
        entry
        for entry in ENTRIES
        if not entry.roles or (visitor is not None and visitor.may(*entry.roles))
    ]
