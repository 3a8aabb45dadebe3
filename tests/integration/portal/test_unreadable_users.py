"""Users whose sealed name or e-mail cannot be read can sign in and work; other users
are not affected.
"""

from libs.runtime.crypto import new_key
from services.portal.domain.user import User
from services.portal.infrastructure.store.postgres import PostgresPortalUnitOfWork, Store
from tests.fixtures.services import ServiceClient
from tests.integration.portal.conftest import AddUser, Serve, execute, signed_in
from tests.integration.portal.pages import Behind, error_of, submit, vehicle


async def damage(url: str, user: User, column: str) -> None:
    """Flip the last byte of the stored value."""
    last = f"octet_length({column}) - 1"
    flipped = f"set_byte({column}, {last}, get_byte({column}, {last}) # 1)"
    await execute(url, f"UPDATE users SET {column} = {flipped} WHERE id = $1", user.id)


async def test_the_list_of_users_shows_the_others_and_marks_the_unreadable_one(
    portal: ServiceClient, add_user: AddUser, portal_database: str
) -> None:
    await add_user("admin")
    buyer = await add_user("buyer")
    await damage(portal_database, buyer, "name")
    await signed_in(portal, "admin@example.com")
    page = await portal.get("/users")
    assert page.status_code == 200
    assert "Admin Silva" in page.text
    assert "cannot be read" in page.text
    one = await portal.get(f"/users/{buyer.id}")
    assert (one.status_code, "cannot be read" in one.text) == (200, True)
    assert (await portal.get("/audits")).status_code == 200


async def test_a_user_whose_name_and_e_mail_cannot_be_read_signs_in_and_sees_pages(
    portal: ServiceClient, add_user: AddUser, portal_database: str, behind: Behind
) -> None:
    buyer = await add_user("buyer")
    behind.says("vehicles GET /vehicles", {"items": [vehicle()], "next": None})
    for column in ("name", "email"):
        await damage(portal_database, buyer, column)
    await signed_in(portal, "buyer@example.com")
    assert (await portal.get("/")).status_code == 200
    account = await portal.get("/account")
    assert (account.status_code, "cannot be read" in account.text) == (200, True)
    sent = {"name": "Ana Lima", "phone": "11912345678", "document": "52998224725"}
    refused = await submit(portal, account, "/account/customer", **sent)
    assert refused.status_code == 409
    assert "tell an administrator" in refused.text


async def test_writing_a_user_keeps_what_cannot_be_read(
    transactions: Store, add_user: AddUser, portal_database: str
) -> None:
    buyer = await add_user("buyer")
    await damage(portal_database, buyer, "email")
    rows = "SELECT email, email_index FROM users"
    before = await execute(portal_database, rows)

    async def write(uow: PostgresPortalUnitOfWork) -> None:
        user = await uow.users.lock("default", buyer.id)
        user.locale = "pt"
        await uow.users.save(user)

    await transactions.run(write)
    assert await execute(portal_database, rows) == before


async def test_the_storefront_and_the_sellers_form_take_a_vehicle_with_an_unreadable_paper(
    portal: ServiceClient, add_user: AddUser, behind: Behind
) -> None:
    seller = await add_user("seller")
    damaged = vehicle(plate=None, seller_id=str(seller.id))
    behind.says("vehicles GET /vehicles", {"items": [vehicle(), damaged], "next": None})
    behind.says(f"vehicles GET /vehicles/{damaged['id']}", damaged, ETag='"1"')
    page = await portal.get("/")
    assert page.status_code == 200
    assert damaged["id"] in page.text
    await signed_in(portal, "seller@example.com")
    form = await portal.get(f"/sell/{damaged['id']}")
    assert form.status_code == 200
    assert error_of(form, "plate") == "What is stored here cannot be read. Please write it again."


async def test_tokens_are_issued_although_the_signing_key_cannot_be_read(
    serve: Serve, add_user: AddUser, portal_database: str
) -> None:
    await add_user("operator")
    async with serve() as client:
        await signed_in(client, "operator@example.com")
        old = (await client.post("/api/token")).json()["access_token"]
        last = "octet_length(private_key) - 1"
        flipped = f"set_byte(private_key, {last}, get_byte(private_key, {last}) # 1)"
        await execute(portal_database, f"UPDATE signing_keys SET private_key = {flipped}")
    async with serve() as client:
        await signed_in(client, "operator@example.com")
        fresh = await client.post("/api/token")
        assert fresh.status_code == 200, fresh.text
        for token in (old, fresh.json()["access_token"]):
            client.cookies.clear()
            bearer = {"Authorization": f"Bearer {token}"}
            assert (await client.get("/api/submissions", headers=bearer)).status_code == 200


async def test_a_dropped_key_is_reported_at_the_start_of_the_portal(
    serve: Serve, add_user: AddUser
) -> None:
    for role in ("buyer", "seller"):
        await add_user(role)
    async with serve(index_key=new_key()) as client:
        assert "INDEX_KEY" in await client.down("data keys")
    async with serve(data_keys=f"k2:{new_key()}") as client:
        state = await client.down("data keys")
    assert state.startswith("down: DATA_KEYS lacks the key 'k1'")
