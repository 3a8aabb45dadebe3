"""A command recovers purchases that only peers know, once each, and they end."""

import json
import os
import subprocess
import sys
from uuid import UUID, uuid4

import pytest

from libs.kernel.ids import uuid7
from libs.runtime.start_failure import StartFailure
from services.orders.infrastructure.lost_purchases import read_lost
from tests.fixtures.services import ServiceClient
from tests.integration.orders.market import TENANT, buy, consume, look, published


def line(order_id: UUID, **changed: object) -> str:
    known = {
        "order_id": str(order_id),
        "tenant_id": TENANT,
        "customer_id": str(uuid4()),
        "vehicle_id": str(uuid4()),
        "total_cents": 5_000_000,
    }
    return json.dumps({name: value for name, value in (known | changed).items() if value})


def recover(database: str, *lines: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "services.orders.main", "recover-lost"],
        env={**os.environ, "DATABASE_URL": database, "ROLE": "api"},
        input="\n".join(lines),
        capture_output=True,
        text=True,
        check=False,
    )


async def test_a_lost_purchase_is_recovered_once_and_ends(
    orders: ServiceClient, orders_database: str
) -> None:
    lost, known = uuid7(), await buy(orders)

    done = recover(orders_database, line(lost), line(known), "")
    again = recover(orders_database, line(lost))

    assert (done.stdout, done.returncode) == ("1 of 2 purchases are recovered, and end\n", 0)
    assert again.stdout == "0 of 1 purchases are recovered, and end\n"
    assert await published(orders, lost) == ["order.cancellation_requested.v1"]
    assert (await look(orders, known))["state"] == "REQUESTED"
    await consume(orders, "credit.released.v1", lost)
    state = await look(orders, lost)
    assert (state["state"], state["reason"]) == ("FAILED", "purchase_lost")


async def test_a_line_with_the_order_of_another_tenant_is_refused(
    orders: ServiceClient, orders_database: str
) -> None:
    lost, known = uuid7(), await buy(orders)

    done = recover(orders_database, line(lost), line(known, tenant_id="another"))

    assert done.returncode == 2
    assert done.stderr == f"error: order {known}: it is not of tenant another, but of another one\n"
    assert (await look(orders, lost))["state"] == "COMPENSATING"
    assert (await look(orders, known))["state"] == "REQUESTED"


def test_a_line_that_cannot_be_read_is_named_and_nothing_is_recovered(
    orders_database: str,
) -> None:
    done = recover(orders_database, line(uuid4()), "{")

    assert done.returncode == 2
    assert done.stderr.startswith("error: line 2: the line: Invalid JSON")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (line(uuid4(), customer_id=None), "line 2: customer_id: Field required"),
        (line(uuid4(), total_cents=-1), "line 2: total_cents: Input should be greater than 0"),
    ],
)
def test_a_field_that_cannot_be_read_is_named_with_its_line(wrong: str, said: str) -> None:
    with pytest.raises(StartFailure, match=said):
        read_lost([line(uuid4()), wrong])
