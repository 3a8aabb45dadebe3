"""The pages for operators and admins are shown to them only, and their actions work."""

import re
from functools import partial

import pytest

from services.portal.domain.audit import Result
from services.portal.infrastructure.store.backups import MADE, record_backup
from services.portal.infrastructure.store.checks import record_check
from services.portal.infrastructure.store.postgres import Store
from tests.fixtures.services import ServiceClient
from tests.integration.portal.conftest import (
    PASSWORD,
    AddUser,
    Enter,
    Serve,
    execute,
    signed_in,
)

PAGES = ("/operations", "/map", "/map?views=1", "/audits", "/audits/verification", "/submissions")
SURE = {"sure": "yes"}
RUI = {
    "name": "Rui Prado",
    "email": "rui@example.com",
    "password": "a long password",
    "roles": ["seller"],
}


async def test_the_pages_are_for_operators_and_admins_only(
    portal: ServiceClient, add_user: AddUser
) -> None:
    for role in ("operator", "admin", "seller"):
        await add_user(role)
        await signed_in(portal, f"{role}@example.com")
        for page in (*PAGES, "/kpis"):
            answer = await portal.get(page)
            expected = {403} if role == "seller" else {200, 503}
            assert answer.status_code in expected, (role, page, answer.text[:500])
        portal.cookies.clear()


@pytest.mark.parametrize("page", [*PAGES, "/users", "/imports", "/kpis"])
async def test_a_visitor_who_is_not_signed_in_is_sent_to_sign_in(
    portal: ServiceClient, page: str
) -> None:
    answer = await portal.get(page)
    assert answer.status_code == 303
    assert answer.headers["location"].startswith("/sign-in?next=/")


async def test_without_a_broker_the_pages_say_so_and_show_the_rest(
    portal: ServiceClient, enter: Enter
) -> None:
    await enter("operator")
    operations, plan = await portal.get("/operations"), await portal.get("/map")
    assert "RABBITMQ_OPERATOR_URL is not set" in operations.text
    assert "payments" in operations.text
    assert 'id="edge-orders-customers-forward"' in plan.text
    assert "The map shows no figures" in plan.text


async def test_the_last_check_of_the_invariants_is_shown(
    portal: ServiceClient, enter: Enter, transactions: Store
) -> None:
    await enter("operator")
    assert "Not checked yet" in (await portal.get("/operations")).text
    check = partial(record_check, transactions, tenant_id="default", purchases=12, passed_over=0)
    await check(broken=[])
    assert "all hold" in (await portal.get("/operations")).text
    await check(broken=["a vehicle is held or sold once"])
    assert "a vehicle is held or sold once" in (await portal.get("/operations")).text


async def test_the_last_backup_is_shown(
    portal: ServiceClient, enter: Enter, transactions: Store
) -> None:
    await enter("operator")
    assert "No backup was made yet." in (await portal.get("/operations")).text
    await record_backup(transactions, name="20261127T140500Z", action=MADE, result=Result.DONE)
    assert "Last backup: " in (await portal.get("/operations")).text


async def test_a_check_that_is_asked_for_is_answered_by_one_that_begins_later(
    portal: ServiceClient, enter: Enter, transactions: Store, portal_database: str
) -> None:
    await enter("operator")
    [row] = await execute(portal_database, "SELECT clock_timestamp() AS now")
    for _ in range(2):
        assert (await portal.post("/operations/check")).status_code == 303
    check = partial(record_check, transactions, tenant_id="default", purchases=1, passed_over=0)
    await check(broken=[], started=row["now"])
    asked = (await portal.get("/operations/live")).text
    assert "A check was asked for" in asked
    assert "may not be running" not in asked
    await execute(portal_database, "UPDATE check_requests SET asked_at = now() - interval '1 h'")
    assert "may not be running" in (await portal.get("/operations/live")).text
    await check(broken=[], started=row["now"])
    answered = (await portal.get("/operations/live")).text
    assert "A check was asked for" not in answered
    assert "all hold" in answered


async def test_an_admin_creates_a_user_and_changes_the_roles(
    portal: ServiceClient, enter: Enter
) -> None:
    await enter("admin")
    assert (await portal.post("/users", data=RUI)).status_code == 303
    page = (await portal.get("/users")).text
    found = re.search(r'href="(/users/[0-9a-f-]{36})">Rui Prado', page)
    assert found is not None
    place = found[1]
    changed = await portal.post(
        f"{place}/roles", data={"roles": ["seller", "operator"], "sure": "yes"}
    )
    assert changed.status_code == 303
    assert 'value="operator" checked' in (await portal.get(place)).text
    audits = (await portal.get("/audits?action=user.roles_changed")).text
    assert "after: Operator, Seller" in audits
    assert "Admin Silva" in audits


@pytest.mark.parametrize(
    ("changed", "field", "says"),
    [
        ({"email": "nobody"}, "email", "Write a valid e-mail address."),
        ({"password": "short"}, "password", "A password has 10 to 128 characters."),
        ({"name": " "}, "name", "Write 1 to 200 printable characters."),
        ({"roles": []}, "roles", "at least one role"),
        ({"roles": ["king"]}, "roles", "at least one role"),
        ({"email": "admin@example.com"}, "email", "Somebody|signs in|e-mail"),
        ({"locale": "xx"}, "locale", "Choose a language."),
    ],
)
async def test_a_wrong_value_of_a_new_user_is_said_beside_its_field(
    portal: ServiceClient, enter: Enter, changed: dict[str, object], field: str, says: str
) -> None:
    await enter("admin")
    answer = await portal.post("/users", data=RUI | changed)
    assert answer.status_code == 422
    error = re.search(rf'id="{field}-error"[^>]*>([^<]*)', answer.text)
    assert error is not None, answer.text
    assert re.search(says, error[1])
    assert "a long password" not in answer.text


async def test_the_last_admin_stays_one(portal: ServiceClient, enter: Enter) -> None:
    admin = await enter("admin")
    answer = await portal.post(f"/users/{admin.id}/roles", data={"roles": ["buyer"], "sure": "yes"})
    assert answer.status_code == 422
    assert "Somebody else has to be an administrator first." in answer.text


async def test_a_user_of_another_tenant_is_not_there(
    portal: ServiceClient, add_user: AddUser
) -> None:
    await add_user("admin")
    other = await add_user("buyer", tenant="elsewhere")
    await signed_in(portal, "admin@example.com")
    assert (await portal.get(f"/users/{other.id}")).status_code == 404
    answer = await portal.post(f"/users/{other.id}/roles", data={"roles": ["admin"], "sure": "yes"})
    assert answer.status_code == 404


async def test_a_form_without_its_token_changes_nothing(
    portal: ServiceClient, enter: Enter
) -> None:
    admin = await enter("admin")
    del portal.headers["X-CSRF-Token"]
    answer = await portal.post(f"/users/{admin.id}/roles", data={"roles": ["admin", "buyer"]})
    assert answer.status_code == 403


async def test_a_disabled_user_is_out_at_once_until_an_admin_sets_a_new_password(
    portal: ServiceClient, add_user: AddUser, enter: Enter, serve: Serve
) -> None:
    seller = await add_user("seller")
    await enter("admin")
    async with serve() as other:
        await signed_in(other, "seller@example.com")
        assert (await other.get("/imports")).status_code == 200
        page = f"/users/{seller.id}"
        assert (await portal.post(f"{page}/disable", data=SURE)).status_code == 303
        assert (await other.get("/imports")).status_code == 303
        credentials = {"email": "seller@example.com", "password": PASSWORD}
        assert (await other.post("/api/sessions", json=credentials)).status_code == 401
        for password, status in (("short", 422), ("a new password", 303)):
            form = {"password": password, **SURE}
            assert (await portal.post(f"{page}/password", data=form)).status_code == status
        await signed_in(other, "seller@example.com", "a new password")
    for done in ("user.disabled", "user.password_changed"):
        assert "Seller Silva" in (await portal.get(f"/audits?action={done}")).text


async def test_nobody_disables_the_own_account(portal: ServiceClient, enter: Enter) -> None:
    admin = await enter("admin")
    answer = await portal.post(f"/users/{admin.id}/disable", data=SURE)
    assert answer.status_code == 422
    assert "Somebody else has to be an administrator first." in answer.text
    assert (await portal.get("/users")).status_code == 200


async def test_a_user_who_is_enabled_again_signs_in_with_the_password_from_before(
    portal: ServiceClient, add_user: AddUser, enter: Enter, serve: Serve, portal_database: str
) -> None:
    seller = await add_user("seller")
    await enter("admin")
    page = f"/users/{seller.id}"
    assert "Enable the user" not in (await portal.get(page)).text
    await portal.post(f"{page}/disable", data=SURE)
    assert "Enable the user" in (await portal.get(page)).text
    for _ in range(2):  # the second click changes nothing
        assert (await portal.post(f"{page}/enable")).status_code == 303
    async with serve() as other:
        await signed_in(other, "seller@example.com")
    audits = (await portal.get("/audits?action=user.enabled")).text
    assert audits.count(f'title="{seller.id}"') == 1
    await execute(
        portal_database,
        "UPDATE users SET password_hash = 'disabled', kept_hash = NULL WHERE id = $1",
        seller.id,
    )  # as it was before passwords were kept
    assert "No password is kept" in (await portal.get(page)).text
    assert (await portal.post(f"{page}/enable")).status_code == 422


@pytest.mark.parametrize(
    ("action", "form"),
    [
        ("disable", {}),
        ("roles", {"roles": ["operator"]}),
        ("password", {"password": "a new password"}),
    ],
)
async def test_a_change_that_is_hard_to_take_back_is_asked_about_first(
    portal: ServiceClient, add_user: AddUser, enter: Enter, action: str, form: dict[str, object]
) -> None:
    seller = await add_user("seller")
    await enter("admin")
    answer = await portal.post(f"/users/{seller.id}/{action}", data=form)
    assert answer.status_code == 422
    assert "Tick the box to confirm." in answer.text
    assert "a new password" not in answer.text
    chosen = "operator" if action == "roles" else "seller"
    assert f'value="{chosen}" checked' in answer.text
    for done in ("user.disabled", "user.roles_changed", "user.password_changed"):
        assert "Nothing recorded" in (await portal.get(f"/audits?action={done}")).text
    await signed_in(portal, "seller@example.com")


async def test_users_are_found_by_name_e_mail_role_and_whether_they_can_sign_in(
    portal: ServiceClient, add_user: AddUser
) -> None:
    await add_user("admin")
    disabled = await add_user("seller")
    buyer = await add_user("buyer", email="ana@example.com")
    elsewhere = await add_user("buyer", email="bo@example.com", tenant="elsewhere")
    await signed_in(portal, "admin@example.com")
    await portal.post(f"/users/{disabled.id}/disable", data=SURE)

    async def found(**typed: str) -> set[str]:
        page = (await portal.post("/users/search", data=typed)).text
        return set(re.findall(r'<th scope="row"><a href="/users/([0-9a-f-]{36})"', page))

    assert await found(q="buyer") == {str(buyer.id)}
    assert await found(q="SILVA seller") == {str(disabled.id)}
    assert await found(q=" Ana@Example.com ") == {str(buyer.id)}
    assert await found(q="nobody") == set()
    assert await found(role="buyer") == {str(buyer.id)}
    assert await found(state="disabled") == {str(disabled.id)}
    assert len(await found(state="enabled")) == 2
    assert len(await found(q="silva")) == 3
    assert str(elsewhere.id) not in await found()
    listed = (await portal.get("/users?role=seller")).text
    assert ">Seller</span>" in listed
    assert ">disabled</span>" in listed
