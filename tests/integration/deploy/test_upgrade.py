"""A new release takes over the containers and the volumes of an earlier one."""

import secrets
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import pytest

from deploy.demo.market import Market
from deploy.installation import CHOREOGRAPHY, ROOT
from libs.messaging.saga.choreography import read
from libs.messaging.topology import topology_of
from tests.fixtures.buying import PRICE, complete
from tests.fixtures.checkout import Checkout, with_engine

FIRST = "8c263e31d53ac15ad03d8a3e9920a918b4429b64"
"""The first revision that starts in containers: the one before gives its servers passwords that its
services do not find.
"""
FIRST_SERVICES = ("orders", "customers", "vehicles", "payments")
MIGRATION = """
from alembic import op

revision = "9999"
down_revision = "{head}"


def upgrade() -> None:
    op.execute("ALTER TABLE orders ADD COLUMN noted text NOT NULL DEFAULT 'kept'")


def downgrade() -> None:
    op.execute("ALTER TABLE orders DROP COLUMN noted")
"""


def has_history() -> bool:
    if shutil.which("git") is None:
        return False
    command = ["git", "cat-file", "-e", f"{FIRST}^{{commit}}"]
    return subprocess.run(command, cwd=ROOT, capture_output=True, check=False).returncode == 0


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Checkout]:
    """Yield a checkout whose releases all have the same compose project."""
    monkeypatch.setenv("COMPOSE_PROJECT_NAME", f"mercado-upgrade-{secrets.token_hex(4)}")
    made = Checkout(tmp_path / "mercado")
    made.ports["POSTGRES_PORT"] = made.ports["DB_PORT"]  # its name in the first release
    try:
        yield made
    finally:
        made.remove()


async def start_purchase(market: Market) -> UUID:
    customer = await market.register_customer(credit_limit_cents=10 * PRICE)
    vehicle = await market.list_vehicle(price_cents=PRICE)
    return await market.buy(customer, vehicle, PRICE)


@with_engine
@pytest.mark.skipif(not has_history(), reason="the history of the code is not here")
@pytest.mark.long
@pytest.mark.slow
@pytest.mark.timeout(1800)
async def test_data_and_purchases_of_the_first_release_go_on_in_this_one_and_in_the_next(
    checkout: Checkout,
) -> None:
    up = ("up", "--detach", "--wait")
    checkout.take(FIRST)
    adapt(checkout.folder / "compose.yaml")
    checkout.compose(*up, "--build")
    market = Market({name: checkout.address(name) for name in FIRST_SERVICES}, timeout=120)
    try:
        done, begun = await start_purchase(market), await start_purchase(market)
        await complete(market, done)
        await market.payment_code(begun)

        checkout.take_this_one()
        checkout.compose(*up)
        await complete(market, begun)
        await market.pick_up(done)
        for queue in queues_of_new_services():
            checkout.taskw("topology", "replay", queue)
        assert "Invariants over all databases (2 purchases" in checkout.taskw("verify")

        begun = await start_purchase(market)
        migrate_orders(checkout)
        checkout.compose(*up)
        await complete(market, begun)
        await complete(market, await start_purchase(market))
        noted = checkout.compose(
            *("exec", "-T", "db", "psql", "-tA", "orders"),
            *("-c", "SELECT noted, count(*) FROM orders GROUP BY noted"),
        )
        assert noted == "kept|4\n"
        assert "Invariants over all databases (4 purchases" in checkout.taskw("verify")
    finally:
        await market.close()


def queues_of_new_services() -> list[str]:
    """Return queues of services added later. They consume from the archives, as README says."""
    bindings = topology_of(read(CHOREOGRAPHY).participants).bindings
    consumed = {each.queue for each in bindings if each.exchange in FIRST_SERVICES}
    return sorted(queue for queue in consumed if not queue.startswith(FIRST_SERVICES))


def adapt(compose: Path) -> None:
    """Change the first release: it needs Docker 25 for the pace of its health checks at the start,
    and all its checkouts share an image.
    """
    lines = compose.read_text().splitlines(keepends=True)
    text = "".join(line for line in lines if "start_interval:" not in line)
    own = "image: mercado-veiculo:${COMPOSE_PROJECT_NAME}\n"
    compose.write_text(text.replace("image: mercado-veiculo\n", own))


def migrate_orders(checkout: Checkout) -> None:
    """Add a column, as the next release does."""
    versions = checkout.folder / "services/orders/infrastructure/migrations/versions"
    head = max(versions.glob("0*.py")).name.partition("_")[0]
    (versions / "9999_noted.py").write_text(MIGRATION.format(head=head))
