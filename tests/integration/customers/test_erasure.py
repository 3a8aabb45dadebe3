"""An erased customer leaves no personal data, also after a restore; an open purchase
prevents the erasure.
"""

from pathlib import Path

import pytest

from libs.kernel.ids import uuid7
from libs.runtime.start_failure import StartFailure
from services.customers.infrastructure.erasure_ledger import FileErasureLedger
from services.customers.infrastructure.replay_erasures import replay_erasures
from services.customers.main import connect
from tests.fixtures.services import ServiceClient
from tests.integration.customers.conftest import Serve
from tests.integration.customers.purchases import (
    ANA,
    closed,
    completed,
    confirmed,
    deliver,
    events,
    register,
    released,
)


async def test_an_erased_customer_leaves_no_sealed_value_and_no_key(
    customers: ServiceClient, ledger: Path
) -> None:
    address = f"/customers/{(await register(customers))['id']}"
    assert (await customers.delete(address)).status_code == 204
    (row,) = await customers.rows("SELECT * FROM customers")
    left = {name for name, value in row.items() if isinstance(value, bytes)}
    assert left == set()
    assert (await customers.get(address)).status_code == 404
    assert (await customers.get("/customers")).json()["items"] == []
    found = await customers.post("/customers/search", json={"email": ANA["email"]})
    assert found.json() == {"items": []}
    assert (await events(customers))[-1]["type"] == "customer.erased.v1"
    (entry,) = FileErasureLedger(ledger).entries()
    assert str(entry.customer_id) == address.removeprefix("/customers/")


async def test_erasing_again_is_no_error_and_another_customer_may_have_the_document(
    customers: ServiceClient, ledger: Path
) -> None:
    address = f"/customers/{(await register(customers))['id']}"
    for _ in range(2):
        assert (await customers.delete(address)).status_code == 204
    assert len(list(FileErasureLedger(ledger).entries())) == 1
    await register(customers)


async def test_an_erased_customer_is_neither_edited_nor_given_credit(
    customers: ServiceClient,
) -> None:
    address = f"/customers/{(await register(customers))['id']}"
    await customers.delete(address)
    headers = {"If-Match": "2"}
    edit = await customers.patch(address, json={"name": "Ana"}, headers=headers)
    limit = await customers.put(address + "/credit-limit", json={"limit_cents": 1}, headers=headers)
    assert (edit.status_code, limit.status_code) == (404, 404)


async def test_an_open_purchase_stands_in_the_way_until_it_is_closed(
    customers: ServiceClient, ledger: Path
) -> None:
    customer, order = (await register(customers))["id"], uuid7()
    for step in (confirmed(order, customer), completed(order)):
        await deliver(customers, step)
        refused = await customers.delete(f"/customers/{customer}")
        assert refused.status_code == 409
        assert refused.json()["type"].endswith(":customer-has-open-purchases")
    with pytest.raises(StartFailure, match="No such file"):
        list(FileErasureLedger(ledger).entries())
    await deliver(customers, closed(order))
    assert (await customers.delete(f"/customers/{customer}")).status_code == 204


async def test_a_closing_consumed_before_the_completion_counts(customers: ServiceClient) -> None:
    customer, order = (await register(customers))["id"], uuid7()
    await deliver(customers, confirmed(order, customer))
    await deliver(customers, closed(order))
    assert (await customers.delete(f"/customers/{customer}")).status_code == 409
    await deliver(customers, completed(order))
    assert (await customers.delete(f"/customers/{customer}")).status_code == 204


async def test_a_released_purchase_does_not_stand_in_the_way(customers: ServiceClient) -> None:
    customer, order = (await register(customers))["id"], uuid7()
    await deliver(customers, confirmed(order, customer), released(order))
    assert (await customers.delete(f"/customers/{customer}")).status_code == 204


async def test_nothing_is_erased_when_the_ledger_cannot_be_written(
    serve: Serve, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    async with serve(erasure_ledger=tmp_path / "file" / "erasures.jsonl") as customers:
        address = f"/customers/{(await register(customers))['id']}"
        assert (await customers.delete(address)).status_code >= 500
        assert (await customers.get(address)).status_code == 200


async def test_the_ledger_erases_again_what_a_restore_brought_back(
    customers: ServiceClient, ledger: Path
) -> None:
    customer = (await register(customers))["id"]
    await customers.execute("CREATE TABLE dump AS TABLE customers")
    await customers.delete(f"/customers/{customer}")
    await customers.execute("DELETE FROM customers")
    await customers.execute("INSERT INTO customers TABLE dump")
    await customers.execute("DROP TABLE dump")
    assert (await customers.get(f"/customers/{customer}")).status_code == 200
    for expected in ("1 erasures in the ledger, 1 customers", "1 erasures in the ledger, 0 custom"):
        line = await replay_erasures(
            connect(customers.service.settings),  # type: ignore[arg-type]
            FileErasureLedger(ledger),
        )
        assert line.startswith(expected)
    assert (await customers.get(f"/customers/{customer}")).status_code == 404


def test_a_ledger_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(StartFailure, match="none: No such file"):
        list(FileErasureLedger(tmp_path / "none").entries())


@pytest.mark.parametrize("line", ['{"tenant_id": "defa', "[]", '{"tenant_id": "default"}', ""])
def test_a_broken_line_of_the_ledger_is_not_passed_over(tmp_path: Path, line: str) -> None:
    (tmp_path / "ledger").write_text(line + "\n", encoding="utf-8")
    with pytest.raises(StartFailure, match="line 1: not an erasure"):
        list(FileErasureLedger(tmp_path / "ledger").entries())
