"""`/orders` leads an order from draft to closed, and refuses what breaks a rule."""

from uuid import uuid4

from tests.fixtures.services import ServiceClient
from tests.integration.orders.market import (
    completed,
    confirm,
    draft,
    headers,
    look,
    new_key,
    problem,
    published,
)


async def test_an_order_lives_from_draft_to_closed_and_its_version_counts_the_writes(
    orders: ServiceClient,
) -> None:
    created = await orders.post("/orders", headers=headers("key-123"), content="{}")
    assert created.status_code == 201
    order = created.json()
    assert (order["status"], order["version"], order["totalCents"]) == ("draft", 1, None)
    assert (created.headers["etag"], created.headers["location"]) == (
        '"1"',
        f"/orders/{order['id']}",
    )

    confirmed = await confirm(orders, order["id"])
    assert confirmed.status_code == 200
    assert (confirmed.json()["status"], confirmed.json()["totalCents"]) == ("confirmed", 5000)
    assert confirmed.headers["etag"] == '"2"'

    closed = await orders.post(f"/orders/{order['id']}/close", headers=headers())
    assert (closed.status_code, closed.json()["status"]) == (200, "closed")
    shown = await orders.get(f"/orders/{order['id']}", headers=headers())
    assert (shown.json(), shown.headers["etag"]) == (closed.json(), '"3"')


async def test_an_order_without_a_vehicle_publishes_only_that_it_was_closed(
    orders: ServiceClient,
) -> None:
    order = await draft(orders)
    await confirm(orders, order["id"])
    assert await published(orders, order["id"]) == []
    await orders.post(f"/orders/{order['id']}/close", headers=headers())
    assert await published(orders, order["id"]) == ["order.closed.v1"]


async def test_confirming_a_draft_with_customer_and_vehicle_begins_the_purchase(
    orders: ServiceClient,
) -> None:
    order = await draft(orders, customerId=str(uuid4()), vehicleId=str(uuid4()))
    assert (order["state"], await published(orders, order["id"])) == (None, [])
    confirmed = await confirm(orders, order["id"])
    assert confirmed.json()["state"] == "REQUESTED"
    assert await published(orders, order["id"]) == ["order.confirmed.v1"]


async def test_a_completed_order_closes_with_its_seller(orders: ServiceClient) -> None:
    order_id = await completed(orders)
    closed = await orders.post(f"/orders/{order_id}/close", headers=headers(version='"2"'))
    assert (closed.status_code, closed.json()["state"]) == (200, "CLOSED")
    assert (await published(orders, order_id))[-1] == "order.closed.v1"
    assert (await look(orders, order_id))["state"] == "CLOSED"


async def test_a_retried_creation_answers_the_same_and_creates_once(orders: ServiceClient) -> None:
    first = await orders.post("/orders", headers=headers("once"), content="{}")
    again = await orders.post("/orders", headers=headers("once"), content=" { } ")
    assert (again.status_code, again.content) == (201, first.content)
    assert again.headers["idempotency-replayed"] == "true"
    assert again.headers["etag"] == first.headers["etag"]
    listed = (await orders.get("/orders", headers=headers())).json()["items"]
    assert [order["id"] for order in listed] == [first.json()["id"]]


async def test_a_key_used_for_another_order_is_refused(orders: ServiceClient) -> None:
    await orders.post("/orders", headers=headers("once"), content="{}")
    body = {"customerId": str(uuid4()), "vehicleId": str(uuid4())}
    other = await orders.post("/orders", headers=headers("once"), json=body)
    problem(other, 422, "idempotency-key-reused")


async def test_creating_needs_a_key_and_every_request_a_tenant(orders: ServiceClient) -> None:
    answer = await orders.post("/orders", headers=headers(), content="{}")
    assert problem(answer, 400, "bad-request")["field"] == "Idempotency-Key"
    path = f"/orders/{uuid4()}"
    without = [
        await orders.post("/orders", headers={"Idempotency-Key": "k"}, content="{}"),
        await orders.patch(f"{path}/confirm", headers={"If-Match": "1"}, json={"totalCents": 1}),
        await orders.post(f"{path}/close"),
        await orders.get("/orders"),
        await orders.get(path),
    ]
    for answer in without:
        assert problem(answer, 400, "bad-request")["field"] == "X-Tenant-Id"


async def test_malformed_bodies_are_refused_by_field_and_nothing_is_written(
    orders: ServiceClient,
) -> None:
    for content, field in [
        ('{"color": "red"}', "color"),
        ('{"customerId": "x", "vehicleId": null}', "customerId"),
        ("[]", "body"),
    ]:
        answer = await orders.post("/orders", headers=new_key(), content=content)
        assert field in [each["field"] for each in problem(answer, 422, "invalid-input")["errors"]]
    problem(await orders.post("/orders", headers=new_key(), content="{"), 400, "malformed-json")
    alone = await orders.post("/orders", headers=new_key(), json={"customerId": str(uuid4())})
    problem(alone, 422, "incomplete-purchase")
    order = await draft(orders)
    for total in (0, -1, 1.5, "5000", True, 10**13, None):
        answer = await orders.patch(
            f"/orders/{order['id']}/confirm", headers=headers(version=1), json={"totalCents": total}
        )
        (error,) = problem(answer, 422, "invalid-input")["errors"]
        assert error["field"] == "totalCents"
    shown = (await orders.get("/orders", headers=headers())).json()["items"]
    assert shown == [order]


async def test_confirming_needs_the_current_version(orders: ServiceClient) -> None:
    order = await draft(orders)
    path = f"/orders/{order['id']}/confirm"
    body = {"totalCents": 1}
    problem(await orders.patch(path, headers=headers(), json=body), 428, "precondition-required")
    malformed = await orders.patch(path, headers=headers(version="one"), json=body)
    problem(malformed, 400, "bad-request")
    problem(await confirm(orders, order["id"], 2), 412, "stale-version")
    assert (await confirm(orders, order["id"], 1)).status_code == 200
    problem(await confirm(orders, order["id"], 1), 412, "stale-version")
    problem(await confirm(orders, order["id"], 2), 409, "order-not-draft")


async def test_closing_is_refused_for_a_draft_a_stale_version_and_a_second_time(
    orders: ServiceClient,
) -> None:
    order = await draft(orders)
    path = f"/orders/{order['id']}/close"
    problem(await orders.post(path, headers=headers()), 409, "order-not-confirmed")
    await confirm(orders, order["id"])
    problem(await orders.post(path, headers=headers(version=1)), 412, "stale-version")
    assert (await orders.post(path, headers=headers(version=2))).status_code == 200
    problem(await orders.post(path, headers=headers()), 409, "order-already-closed")
    assert await published(orders, order["id"]) == ["order.closed.v1"]


async def test_an_order_whose_purchase_is_not_completed_does_not_close(
    orders: ServiceClient,
) -> None:
    order = await draft(orders, customerId=str(uuid4()), vehicleId=str(uuid4()))
    await confirm(orders, order["id"])
    answer = await orders.post(f"/orders/{order['id']}/close", headers=headers())
    problem(answer, 409, "purchase-not-completed")
    shown = await orders.get(f"/orders/{order['id']}", headers=headers())
    assert (shown.json()["status"], shown.json()["version"]) == ("confirmed", 2)


async def test_another_tenants_order_does_not_exist(orders: ServiceClient) -> None:
    order = await draft(orders, tenant="tenant-2")
    path = f"/orders/{order['id']}"
    problem(await orders.get(path, headers=headers()), 404, "order-not-found")
    problem(await confirm(orders, order["id"]), 404, "order-not-found")
    problem(await orders.post(f"{path}/close", headers=headers()), 404, "order-not-found")
    assert (await orders.get("/orders", headers=headers())).json()["items"] == []
    problem(await orders.get("/orders/1", headers=headers()), 422, "invalid-input")


async def test_pages_follow_each_other_while_orders_are_inserted(orders: ServiceClient) -> None:
    made = [(await draft(orders))["id"] for _ in range(5)]
    seen: list[str] = []
    path: str | None = "/orders?limit=2"
    while path is not None:
        answer = await orders.get(path, headers=headers())
        seen += [order["id"] for order in answer.json()["items"]]
        await draft(orders)
        path = answer.links.get("next", {}).get("url")
        assert (path is None) == (answer.json()["next"] is None)
    assert sorted(seen) == sorted(made)
    assert len(set(seen)) == len(seen)


async def test_page_sizes_are_capped_and_cursors_bound_to_their_list(
    orders: ServiceClient,
) -> None:
    for _ in range(3):
        await draft(orders)
    answer = await orders.get("/orders?limit=1", headers=headers())
    cursor = answer.json()["next"]
    for path, tenant in [
        (f"/orders?limit=1&cursor={cursor[:-2]}", "tenant-1"),
        (f"/orders?limit=1&cursor={cursor}", "tenant-2"),
        (f"/purchases?limit=1&cursor={cursor}", "tenant-1"),
        ("/orders?cursor=x", "tenant-1"),
    ]:
        refused = await orders.get(path, headers=headers(tenant=tenant))
        assert problem(refused, 400, "bad-request")["field"] == "cursor"
    for limit in ("0", "-1", "x"):
        refused = await orders.get(f"/orders?limit={limit}", headers=headers())
        assert problem(refused, 400, "bad-request")["field"] == "limit"
    assert len((await orders.get("/orders?limit=9999", headers=headers())).json()["items"]) == 3
