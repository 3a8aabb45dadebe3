"""All services work through a real PgBouncer in transaction mode, with the files that
containers get.
"""

import os
import shutil
import uuid
from collections.abc import Iterator
from dataclasses import replace
from io import StringIO
from pathlib import Path

import asyncpg
import httpx
import pytest
from rich.console import Console

from deploy.certificates import write_secret
from deploy.demo.demo import play
from deploy.postgres import pgbouncer
from deploy.servers.ports import Ports, can_bind
from deploy.services import ServiceSpec
from tests.e2e.quiet import invariants_hold
from tests.e2e.rotating import all_ready, end_connections, rotate_while_buying
from tests.e2e.system import System, running_system
from tests.fixtures.pgbouncer import STRANGER, pgbouncer_program

pytestmark = [pytest.mark.slow, pytest.mark.long, pytest.mark.timeout(300)]


class Pooled(System):
    """PgBouncer starts when the databases are prepared, before the first service."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.port = Ports().pick()
        self.installation = replace(self.installation, pgbouncer=f"127.0.0.1:{self.port}")

    def _start(self, spec: ServiceSpec) -> None:
        if not self.children.runs("pgbouncer"):
            self._start_pgbouncer()
        super()._start(spec)

    @property
    def _pgbouncer_folder(self) -> Path:
        return self.children.folder / "pgbouncer"

    def _user_list(self) -> str:
        return pgbouncer.user_list(
            self.installation.database_accounts(),
            self.installation.passwords.password(pgbouncer.ADMINISTRATOR),
        )

    def hand_out(self) -> None:
        super().hand_out()
        users = self._pgbouncer_folder / "userlist.txt"
        write_secret(users, self._user_list().encode(), 0o644)

    def _start_pgbouncer(self) -> None:
        accounts = self.installation.database_accounts()
        folder = self._pgbouncer_folder
        folder.mkdir(mode=0o700)
        users = folder / "userlist.txt"
        users.write_text(self._user_list())
        server = self.installation.postgres
        settings = pgbouncer.configuration(
            accounts, server=server, address="127.0.0.1", port=self.port, users=users
        )
        (folder / "pgbouncer.ini").write_text(settings)
        user = STRANGER if os.geteuid() == 0 else None
        if user is not None:
            for each in (folder, *folder.iterdir()):
                shutil.chown(each, user)
        command = [pgbouncer_program(), folder / "pgbouncer.ini"]
        self.children.start("pgbouncer", command, rank=1, env={}, cwd=folder, user=user)
        self.children.wait_until("pgbouncer", lambda: not can_bind(self.port), timeout=10)


@pytest.fixture(scope="module")
def pooled() -> Iterator[Pooled]:
    pgbouncer_program()  # this skips before anything has started
    with running_system(Pooled) as started:
        yield started


async def test_every_purchase_ends_as_it_should_behind_pgbouncer(pooled: Pooled) -> None:
    addresses = {name: pooled.state.service_url(name) for name in pooled.state.services}
    shown = StringIO()

    well = await play(addresses, pooled.installation, Console(file=shown))

    assert well, shown.getvalue()


async def test_a_request_that_comes_again_at_once_has_one_effect_behind_pgbouncer(
    pooled: Pooled,
) -> None:
    key = {"Idempotency-Key": uuid.uuid4().hex, "X-Tenant-Id": "default"}
    url = f"{pooled.state.service_url('orders')}/orders"
    async with httpx.AsyncClient(timeout=20) as client:
        first = await client.post(url, json={}, headers=key)
        again = await client.post(url, json={}, headers=key)

    assert (first.status_code, again.content) == (201, first.content)
    assert again.headers["Idempotency-Replayed"] == "true"


async def test_passwords_are_replaced_behind_pgbouncer(pooled: Pooled) -> None:
    before = replace(pooled.installation, postgres=f"127.0.0.1:{pooled.port}", sockets=None)
    old = before.database_url("orders", "orders_app")

    await rotate_while_buying(pooled, "database")

    await end_connections(pooled)
    await all_ready(pooled)
    with pytest.raises(asyncpg.PostgresError, match="authentication failed"):
        await asyncpg.connect(old)
    await rotate_while_buying(pooled, "tokens")
    await invariants_hold(pooled)


async def test_nobody_but_the_services_enters_through_pgbouncer(pooled: Pooled) -> None:
    behind = replace(pooled.installation, postgres=f"127.0.0.1:{pooled.port}", sockets=None)
    for database, role in (("orders", "postgres"), ("postgres", "orders_app")):
        with pytest.raises(asyncpg.PostgresError):
            await asyncpg.connect(behind.database_url(database, role))
