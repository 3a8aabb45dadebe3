"""Users sign up, in and out, keep their customer record, and choose language and theme. Pages have
the security headers.
"""

import pytest

from libs.kernel.ids import uuid7
from services.portal.infrastructure.store.postgres import Store
from tests.fixtures.services import ServiceClient
from tests.integration.portal.conftest import PASSWORD, AddUser, Enter, Serve, signed_in
from tests.integration.portal.pages import Behind, error_of, field_of, submit

CUSTOMER = {
    "name": "B*** S***",
    "email": "b***@example.com",
    "phone": "***4321",
    "document": "***",
    "credit_limit_cents": 0,
    "available_cents": 0,
    "reserved_cents": 0,
    "consumed_cents": 0,
}


async def test_a_user_who_has_to_sign_in_first_comes_back_to_the_page(
    portal: ServiceClient, behind: Behind, add_user: AddUser
) -> None:
    await add_user("buyer", customer_id=uuid7())
    behind.says("orders GET /purchases", {"items": [], "next": None})
    sent = await portal.get("/purchases?cursor=x")
    assert sent.headers["location"] == "/sign-in?next=/purchases%3Fcursor%3Dx"
    page = await portal.get(sent.headers["location"])
    answer = await submit(
        portal,
        page,
        "/sign-in",
        email="buyer@example.com",
        password=PASSWORD,
        next=field_of(page, "next"),
    )
    assert (answer.status_code, answer.headers["location"]) == (303, "/purchases?cursor=x")
    assert (await portal.get("/purchases")).status_code == 200


@pytest.mark.parametrize("place", ["https://evil.example", "//evil.example", "/\\evil.example"])
async def test_signing_in_never_leads_elsewhere(
    portal: ServiceClient, add_user: AddUser, place: str
) -> None:
    await add_user("buyer")
    page = await portal.get("/sign-in")
    typed = {"email": "buyer@example.com", "password": PASSWORD, "next": place}
    assert (await submit(portal, page, "/sign-in", **typed)).headers["location"] == "/"


async def test_a_wrong_password_says_so_and_keeps_the_e_mail(
    portal: ServiceClient, add_user: AddUser
) -> None:
    await add_user("buyer")
    page = await portal.get("/sign-in")
    typed = {"email": "buyer@example.com", "password": "wrong"}
    answer = await submit(portal, page, "/sign-in", **typed)
    assert answer.status_code == 401
    assert "E-mail or password is wrong." in answer.text
    assert field_of(answer, "email") == "buyer@example.com"
    assert field_of(answer, "password") == ""


async def test_signing_out_ends_the_session(portal: ServiceClient, enter: Enter) -> None:
    await enter("buyer")
    page = await portal.get("/account")
    assert (await submit(portal, page, "/sign-out")).status_code == 303
    assert (await portal.get("/account")).status_code == 303


async def test_a_new_password_needs_the_old_one_and_ends_other_sessions(
    portal: ServiceClient, serve: Serve, enter: Enter
) -> None:
    await enter("seller")
    page = await portal.get("/account")
    new = "a wholly different phrase"
    typed = {"current_password": "wrong", "password": new}
    answer = await submit(portal, page, "/account/password", **typed)
    assert error_of(answer, "current_password") == "This is not your password."
    typed["current_password"] = PASSWORD
    answer = await submit(portal, page, "/account/password", **{**typed, "password": "short"})
    assert error_of(answer, "password") == "A password has 10 to 128 characters."
    async with serve() as elsewhere:
        await signed_in(elsewhere, "seller@example.com")
        answer = await submit(portal, page, "/account/password", **typed)
        assert answer.headers["location"] == "/account"
        assert (await portal.get("/account")).status_code == 200
        assert (await elsewhere.get("/account")).status_code == 303
        elsewhere.cookies.clear()
        await signed_in(elsewhere, "seller@example.com", new)


async def test_a_new_user_is_signed_in_with_the_roles_asked_for(portal: ServiceClient) -> None:
    page = await portal.get("/register")
    typed = {"name": "Marina Duarte", "email": "Marina@Example.com", "password": PASSWORD}
    answer = await submit(portal, page, "/register", **typed, purpose="both", next="/account")
    assert (answer.status_code, answer.headers["location"]) == (303, "/account")
    account = await portal.get("/account")
    assert "Welcome!" in account.text
    assert "Buyer" in account.text
    assert "Seller" in account.text
    assert "Operator" not in account.text


@pytest.mark.parametrize(
    ("changed", "field", "reason"),
    [
        ({"password": "short"}, "password", "A password has 10 to 128 characters."),
        ({"email": "nobody"}, "email", "Write a valid e-mail address."),
        ({"email": "buyer@example.com"}, "email", "Somebody signs in with this e-mail already."),
        ({"name": " "}, "name", "Write 1 to 200 printable characters."),
    ],
)
async def test_a_registration_is_refused_with_the_reason_beside_the_field(
    portal: ServiceClient, add_user: AddUser, changed: dict[str, str], field: str, reason: str
) -> None:
    await add_user("buyer")
    page = await portal.get("/register")
    typed = {"name": "Marina", "email": "m@example.com", "password": PASSWORD, **changed}
    answer = await submit(portal, page, "/register", **typed)
    assert answer.status_code == 422
    assert error_of(answer, field) == reason
    assert field_of(answer, "email") == typed["email"]


async def test_nobody_registers_as_staff(portal: ServiceClient) -> None:
    page = await portal.get("/register")
    typed = {"name": "Eve", "email": "eve@example.com", "password": PASSWORD, "purpose": "admin"}
    assert (await submit(portal, page, "/register", **typed)).status_code == 422


async def test_a_customer_record_is_made_and_linked(
    portal: ServiceClient, behind: Behind, enter: Enter, transactions: Store
) -> None:
    user = await enter("buyer")
    customer_id = uuid7()
    register = f"customers PUT /users/{user.id}/customer"
    behind.says(register, {"id": str(customer_id)}, 201)
    behind.says(f"customers GET /customers/{customer_id}", CUSTOMER, ETag='"1"')
    page = await portal.get("/account?next=/vehicles/x")
    typed = {"name": "Buyer Silva", "phone": "+55 11 98765-4321", "document": "529.982.247-25"}
    answer = await submit(portal, page, "/account/customer", **typed, next=field_of(page, "next"))
    assert (answer.status_code, answer.headers["location"]) == (303, "/vehicles/x")
    assert behind.bodies(register) == [{**typed, "email": user.email}]
    found = await transactions.run(lambda uow: uow.users.get("default", user.id))
    assert found.customer_id == customer_id
    account = await portal.get("/account")
    assert "You are registered as a customer." in account.text
    assert field_of(account, "wanted") == "50000,00"


async def test_a_corrected_form_after_a_lost_answer_links_the_user(
    portal: ServiceClient, behind: Behind, enter: Enter, transactions: Store
) -> None:
    user = await enter("buyer")
    page, customer_id = await portal.get("/account"), uuid7()
    typed = {"name": "Buyer Silva", "phone": "+55 11 90000-0000", "document": "529.982.247-25"}
    assert (await submit(portal, page, "/account/customer", **typed)).status_code == 503
    register = f"customers PUT /users/{user.id}/customer"
    behind.says(register, {"id": str(customer_id)}, 200)
    typed["phone"] = "+55 11 98765-4321"
    assert (await submit(portal, page, "/account/customer", **typed)).status_code == 303
    lost, corrected = behind.sent(register)
    assert "Idempotency-Key" not in {**lost.headers, **corrected.headers}
    found = await transactions.run(lambda uow: uow.users.get("default", user.id))
    assert found.customer_id == customer_id


async def test_a_refusal_of_customers_stands_beside_its_field(
    portal: ServiceClient, behind: Behind, enter: Enter
) -> None:
    user = await enter("buyer")
    page = await portal.get("/account")
    typed = {"name": "Buyer", "phone": "+55 11 98765-4321", "document": "111"}
    behind.refuses(
        f"customers PUT /users/{user.id}/customer",
        422,
        "invalid-document",
        "in English",
        field="document",
    )
    answer = await submit(portal, page, "/account/customer", **typed)
    assert answer.status_code == 422
    assert error_of(answer, "document") == "Write a valid CPF or CNPJ."
    assert field_of(answer, "phone") == typed["phone"]
    behind.down("customers")
    answer = await submit(portal, page, "/account/customer", **typed)
    assert answer.status_code == 503
    assert "The service customers is not answering" in answer.text
    assert field_of(answer, "document") == "111"


async def test_language_and_theme_are_chosen_for_the_device(
    portal: ServiceClient, behind: Behind
) -> None:
    answer = await portal.get("/language/pt?next=/sign-in")
    assert answer.headers["location"] == "/sign-in"
    await portal.get("/theme/dark")
    page = await portal.get("/sign-in")
    assert '<html lang="pt" data-theme="dark">' in page.text
    assert "Senha" in page.text
    await portal.get("/language/xx")
    await portal.get("/theme/system")
    assert '<html lang="en">' in (await portal.get("/sign-in")).text
    spanish = await portal.get("/sign-in", headers={"Accept-Language": "es-AR,es;q=0.9,en;q=0.5"})
    assert "Contraseña" in spanish.text


async def test_pages_allow_only_what_the_portal_serves(portal: ServiceClient) -> None:
    page = await portal.get("/sign-in")
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert page.headers["x-content-type-options"] == "nosniff"
    assert page.headers["cache-control"] == "no-store"


async def test_assets_are_kept_by_browsers_until_they_change(portal: ServiceClient) -> None:
    page = await portal.get("/sign-in")
    for name in ("portal.css", "htmx.min.js", "portal.js", "mark.svg"):
        address = page.text.partition(f"/static/{name}")[2].partition('"')[0]
        answer = await portal.get(f"/static/{name}{address}")
        assert answer.status_code == 200, name
        assert "max-age=31536000" in answer.headers["cache-control"]
        again = {"If-None-Match": answer.headers["etag"]}
        assert (await portal.get(f"/static/{name}", headers=again)).status_code == 304
    assert (await portal.get("/static/fonts/Manrope-VariableFont_wght.ttf")).status_code == 200
    assert (await portal.get("/static/../templating.py")).status_code == 404


async def test_the_vehicle_is_not_lost_on_the_way_through_registration(
    portal: ServiceClient, behind: Behind
) -> None:
    place = "/vehicles/0191"
    page = await portal.get(f"/sign-in?next={place}")
    assert f'href="/register?next={place}"' in page.text
    page = await portal.get(f"/register?next={place}")
    assert f'href="/sign-in?next={place}"' in page.text
    typed = {"name": "Marina", "email": "marina@example.com", "password": PASSWORD}
    answer = await submit(portal, page, "/register", **typed, next=field_of(page, "next"))
    assert (answer.status_code, answer.headers["location"]) == (303, place)
    assert (await portal.get(f"/register?next={place}")).headers["location"] == place


async def test_people_read_their_own_data_in_full_and_correct_it(
    portal: ServiceClient, behind: Behind, enter: Enter
) -> None:
    user = await enter("buyer", customer_id=uuid7())
    path = f"customers GET /customers/{user.customer_id}"
    known = {
        "name": "Bia Silva",
        "email": "bia@example.com",
        "phone": "+5511987654321",
        "document": "52998224725",
    }
    behind.says(path, CUSTOMER | known, ETag='"3"')
    page = await portal.get("/account")
    assert dict(behind.sent(path)[0].url.params) == {"full": "true"}
    assert known["document"] in page.text
    assert {name: field_of(page, name) for name in ("name", "email", "phone")} == {
        name: known[name] for name in ("name", "email", "phone")
    }
    change = f"customers PATCH /customers/{user.customer_id}"
    behind.says(change, {})
    typed = {"name": "Bia Lima", "email": known["email"], "phone": known["phone"]}
    answer = await submit(portal, page, "/account/customer/change", version='"3"', **typed)
    assert answer.status_code == 303
    assert behind.bodies(change) == [typed]


@pytest.mark.parametrize(
    ("wanted", "reason"), [("", "Write the limit"), ("much", "Write an amount")]
)
async def test_a_request_for_credit_that_cannot_be_read_is_named_and_kept(
    portal: ServiceClient, behind: Behind, enter: Enter, wanted: str, reason: str
) -> None:
    user = await enter("buyer", customer_id=uuid7())
    behind.says(f"customers GET /customers/{user.customer_id}", CUSTOMER, ETag='"1"')
    page = await portal.get("/account")
    answer = await submit(portal, page, "/account/credit", wanted=wanted, next="/vehicles/x")
    assert answer.status_code == 422
    assert error_of(answer, "wanted").startswith(reason)
    assert field_of(answer, "next") == "/vehicles/x"


async def test_a_request_for_credit_below_the_limit_is_refused_beside_its_field(
    portal: ServiceClient, behind: Behind, enter: Enter
) -> None:
    user = await enter("buyer", customer_id=uuid7())
    behind.says(f"customers GET /customers/{user.customer_id}", CUSTOMER, ETag='"1"')
    behind.refuses(
        f"customers PUT /customers/{user.customer_id}/credit-request",
        422,
        "credit-request-too-low",
        "Ask for more than the limit you have.",
        field="wanted_limit_cents",
    )
    answer = await submit(portal, await portal.get("/account"), "/account/credit", wanted="1")
    assert answer.status_code == 422
    assert error_of(answer, "wanted") == "Ask for more than the limit you have."
    assert field_of(answer, "wanted") == "1"


@pytest.mark.parametrize(
    ("roles", "home"),
    [
        (("buyer", "seller"), "/"),
        (("seller",), "/sell"),
        (("operator",), "/operations"),
        (("admin", "buyer"), "/operations"),
    ],
)
async def test_a_user_who_signs_in_begins_where_the_work_is(
    portal: ServiceClient, add_user: AddUser, roles: tuple[str, ...], home: str
) -> None:
    user = await add_user(*roles)
    page = await portal.get("/sign-in")
    answer = await submit(portal, page, "/sign-in", email=user.email, password=PASSWORD, next="/")
    assert (answer.status_code, answer.headers["location"]) == (303, home)
