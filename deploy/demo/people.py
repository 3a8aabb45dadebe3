"""One user for each role signs in to the portal of a system, with a generated password."""

import asyncio
from dataclasses import dataclass
from uuid import UUID

import httpx

from deploy.commands import CommandRefused, command
from deploy.demo.catalogue import fill
from deploy.demo.market import Market
from deploy.installation import Installation

CREDIT_CENTS = 250_000_00
NOBODY = "nobody signs in with this e-mail"
"""This is the portal's own text."""


@dataclass(frozen=True)
class Person:
    role: str
    name: str

    @property
    def email(self) -> str:
        return f"{self.role}@mercado.example"


BUYER = Person("buyer", "Bruno Barbosa")
SELLER = Person("seller", "Sofia Sampaio")
OPERATOR = Person("operator", "Otávio Oliveira")
ADMIN = Person("admin", "Alice Andrade")
PEOPLE = (BUYER, SELLER, OPERATOR, ADMIN)


async def open_market(installation: Installation) -> None:
    """Add the people, the buyer's customer record and the catalogue; what is there stays.

    Raises httpx.HTTPError or CommandRefused.
    """
    if not await _is_there(installation, OPERATOR):
        # The operator comes last: where that user exists, all others do.
        address = installation.services["portal"]
        async with httpx.AsyncClient(base_url=address, trust_env=False) as client:
            await _fill(client, installation)


async def _is_there(installation: Installation, person: Person) -> bool:
    """Return whether the user exists, with any password."""
    try:
        await command(installation, "portal", "token", person.email)
    except CommandRefused as refused:
        if NOBODY in str(refused):
            return False
        raise
    return True


async def _fill(client: httpx.AsyncClient, installation: Installation) -> None:
    admin = await _signed_in(client, installation, ADMIN)
    if admin is None:
        await _add(installation, ADMIN)
        admin = await _signed_in(client, installation, ADMIN)
    market = Market(installation.services, token=await _token(client, admin))
    try:
        missing = [
            each for each in (BUYER, SELLER) if await _signed_in(client, installation, each) is None
        ]
        await asyncio.gather(*(_settle(market, installation, each) for each in missing))
    finally:
        await market.close()
    await _add(installation, OPERATOR)


async def _settle(market: Market, installation: Installation, person: Person) -> None:
    """Add a buyer with credit, or a seller with vehicles."""
    if person is BUYER:
        customer_id = await market.register_customer(
            credit_limit_cents=CREDIT_CENTS, name=person.name, email=person.email
        )
        await _add(installation, person, "--customer-id", str(customer_id))
    else:
        await fill(market, await _add(installation, person))


async def _add(installation: Installation, person: Person, *options: str) -> UUID:
    words = ("add-user", person.email, "--role", person.role, "--name", person.name, *options)
    password = installation.sign_in_password(person.role)
    return UUID(await command(installation, "portal", *words, environment={"PASSWORD": password}))


async def _signed_in(
    client: httpx.AsyncClient, installation: Installation, person: Person
) -> httpx.Response | None:
    """Return the answer to signing in; None where no user has that name and password."""
    password = installation.sign_in_password(person.role)
    answer = await client.post("/api/sessions", json={"email": person.email, "password": password})
    client.cookies.clear()  # they belong to one person
    if answer.status_code == 401:
        return None
    return answer.raise_for_status()


async def _token(client: httpx.AsyncClient, signed_in: httpx.Response | None) -> str:
    if signed_in is None:
        raise httpx.HTTPError("the portal does not let its own admin in")
    cookie = signed_in.headers["set-cookie"].partition(";")[0]
    headers = {"Cookie": cookie, "X-CSRF-Token": signed_in.json()["csrf_token"]}
    answer = await client.post("/api/token", headers=headers)
    token: str = answer.raise_for_status().json()["access_token"]
    return token
