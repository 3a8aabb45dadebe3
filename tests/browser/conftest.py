"""Runs one system for all browser tests, with people in it, and a browser for each of them."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch
from uuid import UUID

import pytest
from playwright.async_api import BrowserContext, Page, async_playwright, expect

from deploy.demo.market import Market
from deploy.services import service_named
from libs.kernel.clock import utc_now
from libs.kernel.ids import uuid7
from services.portal.application.create_user import create_user
from services.portal.infrastructure.identity.passwords import Argon2Passwords
from services.portal.infrastructure.settings import PortalSettings
from services.portal.main import connect
from tests.browser.chromium import CHROMIUM, FLAGS, WAIT_MILLISECONDS, install_chromium
from tests.e2e.system import SETTINGS, System, running_system

PASSWORD = "correct horse battery"
CREDIT = 50_000_000

expect.set_options(timeout=WAIT_MILLISECONDS)


@dataclass(frozen=True)
class Person:
    """A `Person` has an account. Buyers have the `customer_id` of a record with credit."""

    id: UUID
    email: str
    customer_id: UUID | None


@pytest.fixture(scope="package")
def system() -> Iterator[System]:
    missing = install_chromium()
    if missing is not None:
        pytest.skip(missing)
    # People at a keyboard need longer than programs.
    chosen = {"CODE_LIFETIME_SECONDS": "900", "CARD_TRIES": "3"}
    with patch.dict(SETTINGS, chosen), running_system(System) as started:
        yield started


@pytest.fixture
async def market(system: System) -> AsyncIterator[Market]:
    here = system.market()
    yield here
    await here.close()


@pytest.fixture(scope="session")
def password_hash() -> str:
    return asyncio.run(Argon2Passwords().hash(PASSWORD))


@pytest.fixture
def settings(system: System) -> PortalSettings:
    spec = service_named("portal")
    environment = system.installation.settings(spec, "127.0.0.1", system.state.services["portal"])
    chosen: dict[str, Any] = {name.lower(): value for name, value in environment.items()}
    return PortalSettings(_env_file=None, **chosen)


@pytest.fixture
async def add_person(
    settings: PortalSettings, market: Market, password_hash: str
) -> AsyncIterator[Callable[..., Awaitable[Person]]]:
    """Yield a function that adds a person with these roles. A buyer has credit."""
    transactions = connect(settings)

    async def add(*roles: str, name: str = "Ana Souza") -> Person:
        user_id, customer_id = uuid7(), None
        if "buyer" in roles:
            customer_id = await market.register_customer(credit_limit_cents=CREDIT)
        ids = iter([user_id, uuid7()])
        user = await transactions.run(
            lambda uow: create_user(
                uow,
                tenant_id=market.tenant,
                name=name,
                email=f"{user_id.hex[-12:]}@example.com",
                password_hash=password_hash,
                roles=roles,
                locale="en",
                actor="test",
                new_id=lambda: next(ids),
                now=utc_now(),
                customer_id=customer_id,
            )
        )
        return Person(user.id, user.email, customer_id)

    yield add
    await transactions.engine.dispose()


@pytest.fixture
async def new_browser(system: System) -> AsyncIterator[Callable[..., Awaitable[BrowserContext]]]:
    """Yield a function that opens a browser without cookies, with paths relative to the portal."""
    async with AsyncExitStack() as stack:
        playwright = await stack.enter_async_context(async_playwright())
        chromium = await playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        stack.push_async_callback(chromium.close)

        async def new(**options: Any) -> BrowserContext:
            context = await chromium.new_context(
                **{
                    "base_url": system.state.service_url("portal"),
                    "viewport": {"width": 1280, "height": 860},
                    "reduced_motion": "reduce",
                    "locale": "en-GB",
                    "timezone_id": "America/Sao_Paulo",
                    **options,
                }
            )
            context.set_default_timeout(WAIT_MILLISECONDS)
            return context

        yield new


@pytest.fixture
async def sign_in(
    new_browser: Callable[..., Awaitable[BrowserContext]],
) -> Callable[..., Awaitable[Page]]:
    """Return a function that signs a person in through the form, in a browser of its own."""

    async def signed_in(person: Person, **options: Any) -> Page:
        page = await (await new_browser(**options)).new_page()
        await page.goto("/sign-in")
        await page.get_by_label("E-mail").fill(person.email)
        await page.get_by_label("Password").fill(PASSWORD)
        await page.locator("main").get_by_role("button", name="Sign in").click()
        await page.get_by_role("button", name="Sign out").wait_for()
        return page

    return signed_in
