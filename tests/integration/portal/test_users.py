"""Admins create users, give roles and link customers; a tenant never loses its last admin."""

import asyncio
from functools import partial

import pytest

from libs.kernel.clock import utc_now
from libs.kernel.ids import uuid7
from services.portal.application.change_locale import change_locale
from services.portal.application.change_password import change_password
from services.portal.application.change_roles import change_roles
from services.portal.application.erase_user import erase_user
from services.portal.application.link_customer import link_customer
from services.portal.domain.audit import Act
from services.portal.domain.errors import (
    CustomerErased,
    CustomerLinked,
    EmailTaken,
    InvalidUser,
    LastAdmin,
    UserNotFound,
)
from services.portal.domain.user import User
from services.portal.infrastructure.identity.passwords import Argon2Passwords
from services.portal.infrastructure.store.postgres import Store
from tests.fixtures.services import ServiceClient
from tests.integration.portal.conftest import PASSWORD, AddUser, Enter, Serve, signed_in


async def give(transactions: Store, user: User, *roles: str, tenant: str = "default") -> User:
    return await transactions.run(
        lambda uow: change_roles(
            uow, act=Act(tenant, "test", uuid7(), utc_now()), user_id=user.id, roles=roles
        )
    )


async def test_an_e_mail_is_one_users_in_any_tenant_and_spelling(add_user: AddUser) -> None:
    await add_user("buyer", email="ana@example.com")
    with pytest.raises(EmailTaken) as refused:
        await add_user("buyer", email="ANA@example.com", tenant="elsewhere")
    assert refused.value.field == "email"


async def test_a_role_counts_from_the_next_request_on(
    portal: ServiceClient, enter: Enter, transactions: Store
) -> None:
    user = await enter("buyer")
    assert (await portal.get("/api/audits")).status_code == 403
    await give(transactions, user, "operator")
    assert (await portal.get("/api/audits")).status_code == 200


async def test_a_user_of_a_foreign_tenant_is_not_found(
    add_user: AddUser, transactions: Store
) -> None:
    user = await add_user("buyer")
    with pytest.raises(UserNotFound):
        await give(transactions, user, "admin", tenant="elsewhere")


async def test_two_admins_who_give_up_at_once_leave_one(
    add_user: AddUser, transactions: Store
) -> None:
    admins = [await add_user("admin", email=f"{n}@example.com") for n in range(2)]
    outcomes = await asyncio.gather(
        *(give(transactions, admin, "buyer") for admin in admins), return_exceptions=True
    )
    assert [type(each) for each in outcomes if not isinstance(each, User)] == [LastAdmin]
    assert await transactions.run(lambda uow: uow.users.lock_admins("default")) == 1


async def test_only_roles_and_languages_there_are_can_be_given(
    add_user: AddUser, transactions: Store
) -> None:
    user = await add_user("buyer")
    with pytest.raises(InvalidUser):
        await give(transactions, user, "root")
    change = partial(change_locale, tenant_id="default", user_id=user.id)
    with pytest.raises(InvalidUser):
        await transactions.run(lambda uow: change(uow, locale="xx"))
    await transactions.run(lambda uow: change(uow, locale="pt"))
    assert (await transactions.run(lambda uow: uow.users.get("default", user.id))).locale == "pt"


async def test_a_user_is_linked_to_one_customer_and_never_to_an_erased_one(
    add_user: AddUser, transactions: Store
) -> None:
    user, customer_id, erased = await add_user("buyer"), uuid7(), uuid7()
    link = partial(link_customer, tenant_id="default", user_id=user.id)
    await transactions.run(
        lambda uow: erase_user(
            uow, tenant_id="default", customer_id=erased, new_id=uuid7, now=utc_now()
        )
    )
    with pytest.raises(CustomerErased):
        await transactions.run(lambda uow: link(uow, customer_id=erased))
    for _ in range(2):
        await transactions.run(lambda uow: link(uow, customer_id=customer_id))
    with pytest.raises(CustomerLinked):
        await transactions.run(lambda uow: link(uow, customer_id=uuid7()))


async def test_a_new_password_ends_the_other_sessions(
    serve: Serve, add_user: AddUser, transactions: Store
) -> None:
    user = await add_user("buyer")
    new_hash = await Argon2Passwords().hash("another horse battery")
    async with serve() as here, serve() as there:
        await signed_in(there, "buyer@example.com")
        await signed_in(here, "buyer@example.com")
        items = (await here.get("/api/sessions")).json()["items"]
        [this] = [item["id"] for item in items if item["is_this_one"]]
        await transactions.run(
            lambda uow: change_password(
                uow,
                act=Act("default", str(user.id), uuid7(), utc_now()),
                user_id=user.id,
                password_hash=new_hash,
                session_id=this,
            )
        )
        assert (await there.get("/api/sessions")).status_code == 401
        assert (await here.get("/api/sessions")).status_code == 200
        old = {"email": "buyer@example.com", "password": PASSWORD}
        assert (await there.post("/api/sessions", json=old)).status_code == 401
        await signed_in(there, "buyer@example.com", "another horse battery")


async def test_users_come_page_by_page_newest_first(add_user: AddUser, transactions: Store) -> None:
    made = [await add_user("buyer", email=f"{n}@example.com") for n in range(3)]
    await add_user("buyer", email="foreign@example.com", tenant="elsewhere")
    first = await transactions.run(lambda uow: uow.users.page("default", None, 2))
    rest = await transactions.run(lambda uow: uow.users.page("default", first[-1].id, 2))
    assert [each.email for each in [*first, *rest]] == [each.email for each in reversed(made)]
