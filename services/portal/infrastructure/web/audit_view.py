"""People read an audit's actor, action and target in words, with a link to the target."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from services.portal.domain.audit import Audit
from services.portal.domain.ids import as_id
from services.portal.domain.user import ADMIN, User
from services.portal.infrastructure.language.i18n import marked

ACTIONS = {
    "user.signed_in": marked("Signed in"),
    "user.signed_out": marked("Signed out"),
    "user.created": marked("User created"),
    "user.roles_changed": marked("Roles changed"),
    "user.password_changed": marked("Password changed"),
    "user.password_reset_requested": marked("New password asked for"),
    "user.password_reset": marked("Forgotten password replaced"),
    "user.disabled": marked("User disabled"),
    "user.enabled": marked("User enabled"),
    "user.erased": marked("User erased"),
    "customer.registered": marked("Registered as a customer"),
    "customer.changed": marked("Customer data changed"),
    "credit_limit.changed": marked("Credit limit changed"),
    "credit.asked_for": marked("Higher credit limit asked for"),
    "credit.declined": marked("Request for credit declined"),
    "vehicle.listed": marked("Vehicle put on the market"),
    "vehicle.changed": marked("Vehicle changed"),
    "vehicle.withdrawn": marked("Vehicle withdrawn"),
    "submission.started": marked("File of vehicles handed in"),
    "submission.finished": marked("File of vehicles finished"),
    "purchase.begun": marked("Purchase begun"),
    "purchase.paid": marked("Purchase paid"),
    "purchase.picked_up": marked("Vehicle picked up"),
    "purchase.given_up": marked("Purchase given up"),
    "dead_letter.redriven": marked("Dead letter redriven"),
    "dead_letter.reissued": marked("Dead letter reissued"),
    "dead_letter.discarded": marked("Dead letter discarded"),
    "given_up.sent_again": marked("Event sent again"),
    "charge.settled": marked("Charge settled by hand"),
    "refund.retried": marked("Refund tried again"),
    "refund.settled": marked("Refund settled by hand"),
    "transfer.settled": marked("Transfer settled by hand"),
    "payout.retried": marked("Payout tried again"),
    "kpi.defined": marked("KPI defined"),
    "kpi.changed": marked("KPI changed"),
    "kpi.archived": marked("KPI archived"),
    "kpi.restored": marked("KPI restored"),
    "backup.made": marked("Backup made"),
    "backup.checked": marked("Backup checked"),
    "invariants.asked": marked("Check of the invariants asked for"),
    "invariants.checked": marked("Invariants checked"),
    "key.rotated": marked("Signing key replaced"),
    "schema.migrated": marked("Schema migrated"),
}
"""Each action has a text. An action without one is shown by its own name."""

SYSTEM = {
    "anonymous": marked("Somebody not signed in"),
    "terminal": marked("The terminal"),
    "portal": marked("The portal"),
    "checker": marked("The checker"),
    "backup": marked("The backup"),
}
"""These actors are not users."""

DETAILS = {
    "before": marked("before"),
    "after": marked("after"),
    "roles": marked("roles"),
    "queue": marked("queue"),
    "service": marked("service"),
    "subject": marked("about"),
    "order": marked("purchase"),
    "new_id": marked("new id"),
    "came_back": marked("refused again"),
    "code": marked("refused because"),
    "amount_cents": marked("amount"),
    "outcome": marked("outcome"),
    "reference": marked("reference"),
    "note": marked("note"),
    "kind": marked("kind"),
    "rows": marked("rows"),
    "succeeded": marked("imported"),
    "failed": marked("not imported"),
    "purchases": marked("purchases"),
    "passed_over": marked("on their way"),
    "broken": marked("broken"),
    "approved_by": marked("approved by"),
    "revision": marked("revision"),
}
OF_ROLES = frozenset({"before", "after", "roles"})

VEHICLE, PURCHASE, FILE = marked("Vehicle"), marked("Purchase"), marked("File of vehicles")
MESSAGE, INDICATOR, MONEY = marked("Message"), marked("KPI"), marked("Payment or payout")
KINDS = (
    ("purchase.begun", VEHICLE, "/vehicles/{}"),
    ("purchase.", PURCHASE, "/purchases/{}"),
    ("vehicle.listed", VEHICLE, ""),
    ("vehicle.", VEHICLE, "/vehicles/{}"),
    ("submission.", FILE, "/imports/{}"),
    ("kpi.", INDICATOR, "/kpis/{}/edit"),
    ("dead_letter.", MESSAGE, ""),
    ("given_up.", MESSAGE, ""),
    ("charge.", MONEY, ""),
    ("refund.", MONEY, ""),
    ("transfer.", MONEY, ""),
    ("payout.", MONEY, ""),
)
"""The prefix of an action decides the kind of its target, and the page that shows the target."""
OF_ADMINS = ("/kpis/", "/users/")
ABOUT = ("subject", "order")
"""These details name a purchase."""


@dataclass(frozen=True)
class Known:
    """The portal knows this about the ids in some entries: users' names, the user of a customer's
    record, and which ids are purchases.
    """

    names: Mapping[str, str]
    users: Mapping[str, str]
    purchases: frozenset[str]


@dataclass(frozen=True)
class Detail:
    """`kind` is `money`, `roles`, `purchase`, or empty for plain text."""

    label: str
    value: str | int
    kind: str = ""


@dataclass(frozen=True)
class Line:
    """`actor` and `thing` are texts or names. `href` is the address of the page that shows the
    thing.
    """

    audit: Audit
    actor: str
    actor_href: str
    action: str
    thing: str
    href: str
    details: Sequence[Detail]


def line(audit: Audit, known: Known, reader: User) -> Line:
    """Return the line. Only an admin as `reader` gets links to users and to KPIs' forms."""
    entry = audit.entry
    user_id = known.users.get(entry.target, entry.target)
    thing, href = next(
        (
            (label, place.format(entry.target))
            for start, label, place in KINDS
            if entry.action.startswith(start)
        ),
        ("", ""),
    )
    if user_id in known.names:
        thing, href = known.names[user_id], f"/users/{user_id}"
    if href.startswith(OF_ADMINS) and not reader.may(ADMIN):
        href = ""
    is_user = entry.actor in known.names and reader.may(ADMIN)
    return Line(
        audit,
        actor=known.names.get(entry.actor) or SYSTEM.get(entry.actor, entry.actor),
        actor_href=f"/users/{entry.actor}" if is_user else "",
        action=ACTIONS.get(entry.action, entry.action),
        thing=thing,
        href=href,
        details=[_detail(*each, known) for each in entry.details.items()],
    )


def ids_in(audits: Sequence[Audit]) -> set[UUID]:
    """Return the ids that may be those of users, customers or purchases."""
    texts = {
        str(text)
        for audit in audits
        for text in (
            audit.entry.actor,
            audit.entry.target,
            *(audit.entry.details.get(name, "") for name in ABOUT),
        )
    }
    return {known for text in texts if (known := as_id(text)) is not None}


def _detail(name: str, value: str | int, known: Known) -> Detail:
    label = DETAILS.get(name, name)
    if name == "amount_cents":
        return Detail(label, int(value), "money")
    if name in OF_ROLES:
        return Detail(label, value, "roles")
    if name in ABOUT and value in known.purchases:
        return Detail(label, value, "purchase")
    return Detail(label, value)
