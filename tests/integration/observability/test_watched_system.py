"""Alerts fire and clear in a real Prometheus that watches a running system over TLS."""

import asyncio
import json
import subprocess
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aio_pika
import asyncpg
import httpx
import pytest
import pytest_asyncio
import yaml  # type: ignore[import-untyped]

from deploy.installation import ADMINISTRATOR, EXPORTER, VHOST, Installation
from deploy.local.state import load_state
from deploy.observability.configuration import ALERTS, QUERIES, Targets, write_prometheus
from deploy.observability.dashboards import DASHBOARDS
from deploy.servers.ports import Ports
from deploy.servers.processes import Children
from deploy.servers.rabbitmq import SERVER
from deploy.services import SERVICES
from tests.fixtures.polling import eventually
from tests.fixtures.postgres_15 import postgres_15_programs
from tests.fixtures.prometheus import metrics_of, program
from tests.integration.deploy.systems import own_place, private_only, records, run

pytestmark = [pytest.mark.long, pytest.mark.slow, pytest.mark.timeout(600), private_only]

PATIENCE = 90.0


@dataclass(frozen=True)
class Watched:
    folder: Path
    installation: Installation
    prometheus: str

    async def ask(self, path: str, **params: str) -> Any:
        async with httpx.AsyncClient(base_url=self.prometheus, timeout=20) as client:
            answer = await client.get(f"/api/v1/{path}", params=params)
            assert answer.is_success, answer.text
            return answer.json()["data"]

    async def value(self, query: str) -> float | None:
        found = (await self.ask("query", query=query))["result"]
        return float(found[0]["value"][1]) if found else None

    async def firing(self) -> dict[str, dict[str, Any]]:
        alerts = (await self.ask("alerts"))["alerts"]
        return {each["labels"]["alertname"]: each for each in alerts if each["state"] == "firing"}

    def control_broker(self, *arguments: str) -> None:
        process = records(self.folder)["rabbitmq"].process()
        assert process is not None
        command = [str(SERVER.with_name("rabbitmqctl")), *arguments]
        subprocess.run(command, env=process.environ(), check=True, capture_output=True, timeout=200)


@pytest.fixture(scope="module")
def watched() -> Iterator[Watched]:
    prometheus, exporter = program("prometheus"), program("prometheus-postgres-exporter")
    with own_place() as folder:
        programs = str(postgres_15_programs())  # the embedded Postgres has no TLS
        code, output = run(folder, "up", TLS="required", POSTGRES_BIN=programs)
        assert code == 0, output
        state = load_state(folder)
        made = state.installation(folder)
        ports = Ports()
        metrics = json.loads((folder / "rabbitmq" / "ports.json").read_text())[2]
        own, asked = ports.pick(), ports.pick()
        watching = folder / "watching"
        watching.mkdir()
        services = {name: f"127.0.0.1:{port}" for name, port in state.services.items()}
        targets = Targets(services, f"127.0.0.1:{metrics}", f"127.0.0.1:{asked}", VHOST)
        write_prometheus(watching, targets, every="1s")
        children = Children(watching, tied=True)
        account = made.exporter_account()
        assert made.authority is not None
        tls = made.authority.database_parameters
        try:
            children.start(
                "exporter",
                [
                    exporter,
                    f"--web.listen-address=127.0.0.1:{asked}",
                    "--auto-discover-databases",
                    "--exclude-databases=template0,template1",
                    f"--extend.query-path={QUERIES}",
                ],
                rank=1,
                env={
                    "DATA_SOURCE_URI": f"127.0.0.1:{state.postgres}/postgres?{tls}",
                    "DATA_SOURCE_USER": EXPORTER,
                    "DATA_SOURCE_PASS": account.password,
                },
            )
            children.start(
                "prometheus",
                [
                    prometheus,
                    f"--config.file={watching / 'prometheus.yml'}",
                    f"--storage.tsdb.path={watching / 'data'}",
                    f"--web.listen-address=127.0.0.1:{own}",
                ],
                rank=2,
                env={},
            )
            url = f"http://127.0.0.1:{own}"
            children.wait_until("prometheus", lambda: _is_ready(url), port=own)
            yield Watched(folder, made, url)
        finally:
            children.stop()


def _is_ready(url: str) -> bool:
    try:
        return httpx.get(f"{url}/-/ready").is_success
    except httpx.TransportError:
        return False


@pytest_asyncio.fixture
async def channel(watched: Watched) -> AsyncIterator[aio_pika.abc.AbstractChannel]:
    url = watched.installation.broker_url(ADMINISTRATOR)
    async with await aio_pika.connect(url) as connection:
        yield await connection.channel()


async def test_every_metric_that_a_dashboard_or_an_alert_names_is_exported(
    watched: Watched,
) -> None:
    groups = yaml.safe_load(ALERTS.read_text())["groups"]
    named = {
        *(each for group in groups for rule in group["rules"] for each in metrics_of(rule["expr"])),
        *(
            each
            for dashboard in DASHBOARDS
            for panel in dashboard.panels
            for query in panel.queries.values()
            for each in metrics_of(query)
        ),
    }
    assert len(named) > 50

    async def all_there() -> bool:
        missing = named - set(await watched.ask("label/__name__/values"))
        assert not missing
        return True

    await eventually(all_there, PATIENCE)


async def test_all_is_up_and_no_alert_fires_where_nothing_is_wrong(watched: Watched) -> None:
    async def all_asked() -> bool:
        down = [
            each["labels"]["job"]
            for each in (await watched.ask("targets"))["activeTargets"]
            if each["health"] != "up"
        ]
        assert not down
        groups = (await watched.ask("rules"))["groups"]
        states = {rule["name"]: rule["health"] for group in groups for rule in group["rules"]}
        assert states
        assert set(states.values()) == {"ok"}, states
        return True

    await eventually(all_asked, PATIENCE)
    assert await watched.firing() == {}


async def test_each_database_reports_the_size_of_its_tables_with_their_partitions(
    watched: Watched,
) -> None:
    async def told() -> bool:
        for spec in SERVICES:
            for kind, relation in (("table", "inbox"), ("index", "pk_inbox")):
                labels = f'datname="{spec.name}", kind="{kind}", relation="{relation}"'
                assert await watched.value(f"pg_relation_bytes{{{labels}}}") is not None, labels
        return True

    await eventually(told, PATIENCE)
    partitions = await watched.value('count(pg_relation_bytes{relation=~"inbox_2.+[0-9]"})')
    assert partitions is None


async def test_a_session_that_waits_for_a_lock_is_seen(watched: Watched) -> None:
    url = watched.installation.database_url("orders", "postgres")
    sessions = 'pg_lock_wait_sessions{datname="orders"}'
    holder, waiter = [await asyncpg.connect(url) for _ in range(2)]
    try:
        await holder.execute("SET idle_in_transaction_session_timeout = 0")
        await holder.execute("BEGIN; LOCK TABLE idempotency_keys")
        waiting = asyncio.create_task(waiter.fetch("SELECT FROM idempotency_keys LIMIT 1"))

        async def seen() -> bool:
            return (await watched.value(sessions) or 0) >= 1

        await eventually(seen, PATIENCE)
        await holder.execute("COMMIT")
        await waiting
    finally:
        await holder.close()
        await waiter.close()

    async def over() -> bool:
        return await watched.value(sessions) == 0

    await eventually(over, PATIENCE)


async def test_a_dead_letter_fires_an_alert_until_it_is_gone(
    watched: Watched, channel: aio_pika.abc.AbstractChannel
) -> None:
    message = aio_pika.Message(b"no event", delivery_mode=2)
    await channel.default_exchange.publish(message, "orders.on.vehicle.sold.v1")

    async def fired() -> dict[str, Any] | None:
        return (await watched.firing()).get("DeadLetters")

    alert = await eventually(fired, PATIENCE)
    assert alert is not None
    assert alert["labels"]["queue"] == "orders.dead-letters"
    assert alert["annotations"]["summary"] == "1 messages in orders.dead-letters"
    assert "./taskw dead list" in alert["annotations"]["action"]

    await (await channel.get_queue("orders.dead-letters")).purge()

    async def cleared() -> bool:
        return "DeadLetters" not in await watched.firing()

    await eventually(cleared, PATIENCE)


async def test_a_broker_that_takes_no_messages_fires_an_alert_until_it_does(
    watched: Watched,
) -> None:
    watched.control_broker("set_vm_memory_high_watermark", "0.0001")
    try:

        async def fired() -> bool:
            return "BrokerAlarm" in await watched.firing()

        await eventually(fired, PATIENCE)
    finally:
        watched.control_broker("set_vm_memory_high_watermark", "0.4")

    async def cleared() -> bool:
        return "BrokerAlarm" not in await watched.firing()

    await eventually(cleared, PATIENCE)
