"""Who signs in to the portal of a run: one user for each role, with a password made up here."""

from dataclasses import dataclass
from functools import partial
from typing import Any
from uuid import UUID

from deploy.installation import Installation
from deploy.local.catalogue import fill
from deploy.local.market import Market
from deploy.services import service_named
from libs.kernel.clock import utc_now
from libs.kernel.ids import uuid7
from libs.messaging.outbox.unit_of_work import Transactions
from services.portal.application.create_user import create_user
from services.portal.domain.user import User
from services.portal.infrastructure.passwords import Argon2Passwords
from services.portal.infrastructure.postgres import PortalUnitOfWork
from services.portal.infrastructure.settings import PortalSettings
from services.portal.infrastructure.tokens import Tokens
from services.portal.main import connect

CREDIT_CENTS = 250_000_00


@dataclass(frozen=True)
class Person:
    role: str
    name: str

    @property
    def email(self) -> str:
        return f"{self.role}@mercado.example"


ADMIN = Person("admin", "Alice Andrade")
PEOPLE = (
    Person("buyer", "Bruno Barbosa"),
    Person("seller", "Sofia Sampaio"),
    Person("operator", "Otávio Oliveira"),
    ADMIN,
)


async def open_market(installation: Installation) -> None:
    """The people, the buyer's customer record and the catalogue; what is there already stays.

    Raises httpx.HTTPError.
    """
    environment = installation.settings(service_named("portal"), "127.0.0.1", 0)
    chosen: dict[str, Any] = {name.lower(): value for name, value in environment.items()}
    settings = PortalSettings(_env_file=None, **chosen)
    transactions = connect(settings)
    try:
        if await _find(transactions, ADMIN) is None:
            # The admin comes last: who is there tells that all is.
            await _fill(transactions, settings, installation)
    finally:
        await transactions.engine.dispose()


async def _fill(
    transactions: Transactions[PortalUnitOfWork],
    settings: PortalSettings,
    installation: Installation,
) -> None:
    nobody = User(
        uuid7(), "default", "", "", frozenset({"admin"}), None, "en", "", created_at=utc_now()
    )
    token = await Tokens(transactions, settings).mint(nobody)
    market = Market(installation.services, token=token)
    try:
        for person in PEOPLE:
            if await _find(transactions, person) is None:
                customer_id = await _customer(market, person)
                user = await _add(transactions, installation, person, customer_id)
                if person.role == "seller":
                    await fill(market, user.id)
    finally:
        await market.close()


async def _customer(market: Market, person: Person) -> UUID | None:
    if person.role != "buyer":
        return None
    return await market.register_customer(
        credit_limit_cents=CREDIT_CENTS, name=person.name, email=person.email
    )


async def _find(transactions: Transactions[PortalUnitOfWork], person: Person) -> User | None:
    return await transactions.run(lambda uow: uow.users.find_by_email(person.email))


async def _add(
    transactions: Transactions[PortalUnitOfWork],
    installation: Installation,
    person: Person,
    customer_id: UUID | None,
) -> User:
    password_hash = await Argon2Passwords().hash(installation.sign_in_password(person.role))
    work = partial(
        create_user,
        tenant_id="default",
        name=person.name,
        email=person.email,
        password_hash=password_hash,
        roles=[person.role],
        locale="en",
        actor="installation",
        new_id=uuid7,
        now=utc_now(),
        customer_id=customer_id,
    )
    return await transactions.run(work)
