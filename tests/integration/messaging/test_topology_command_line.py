"""`python -m libs.messaging` does what a person asks for, or fails in one line."""

import asyncio
import os
import sys
from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import pytest
from aio_pika.abc import AbstractChannel
from sqlalchemy.ext.asyncio import AsyncEngine

from libs.kernel.ids import uuid7
from libs.messaging.__main__ import main
from libs.messaging.outbox.outbox import Outbox
from libs.messaging.relay.relay import Relay
from libs.messaging.saga.choreography import choreography_of, read
from libs.messaging.saga.pictures import BEGIN, END
from libs.messaging.schema.inbox_window import InboxWindow
from tests.fixtures.polling import eventually
from tests.fixtures.servers import RabbitMQServer
from tests.integration.messaging import sample
from tests.integration.messaging.effects import Subscribe, reserved, until_reserved
from tests.integration.messaging.relaying import QUICK
from tests.integration.messaging.viewing import figures
from tests.integration.messaging.wire import send, waiting

ROOT = Path(__file__).parents[3]
SAMPLE = "tests.integration.messaging.sample"
PARTICIPANTS = ["--participants", f"{SAMPLE}:shop", "--participants", f"{SAMPLE}:credit"]


@pytest.fixture
def document(tmp_path: Path) -> list[str]:
    """Return the option that names the written choreography of the sample."""
    path = tmp_path / "choreography.json"
    path.write_text(choreography_of([sample.shop(), sample.credit()]).as_text())
    return ["--choreography", str(path)]


class CommandLine:
    """A `CommandLine` runs commands in this process, and returns exit code, output and errors."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self._monkeypatch = monkeypatch
        self._capsys = capsys

    async def __call__(self, *arguments: str, **environment: str) -> tuple[int, str, str]:
        for name, value in environment.items():
            self._monkeypatch.setenv(name, value)
        self._capsys.readouterr()
        code = await asyncio.to_thread(self._run, [*arguments])
        return code, *self._capsys.readouterr()

    def _run(self, arguments: list[str]) -> int:
        try:
            main(arguments)
        except SystemExit as end:
            if isinstance(end.code, str):  # the interpreter does this at its end
                print(end.code, file=sys.stderr)
                return 1
            return end.code or 0
        return 0


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> CommandLine:
    monkeypatch.setenv("COLUMNS", "200")
    return CommandLine(monkeypatch, capsys)


async def test_topology_check_fails_before_apply_and_succeeds_after(
    command: CommandLine, document: list[str], vhost: str, rabbitmq_server: RabbitMQServer
) -> None:
    places = {"RABBITMQ_URL": vhost, "RABBITMQ_MANAGEMENT_URL": rabbitmq_server.management_url}
    code, _, errors = await command("topology", "check", *document, **places)
    assert code == 1
    assert f"queue {sample.QUEUE}: missing" in errors.splitlines()
    code, output, _ = await command("topology", "apply", *document, **places)
    assert (code, output) == (0, "declared 6 exchanges and 3 queues\n")
    code, output, _ = await command("topology", "check", *document, **places)
    assert (code, output) == (0, "all as it should be\n")


async def test_topology_apply_bounds_the_queues_of_views_or_says_what_it_needs_for_that(
    command: CommandLine, tmp_path: Path, vhost: str, rabbitmq_server: RabbitMQServer
) -> None:
    path = tmp_path / "choreography.json"
    path.write_text(choreography_of([sample.shop(), figures()]).as_text())
    apply = ("topology", "apply", "--choreography", str(path))
    code, output, errors = await command(*apply, RABBITMQ_URL=vhost)
    assert (code, output) == (1, "")
    assert errors.startswith("error: RABBITMQ_MANAGEMENT_URL is not set")
    management = rabbitmq_server.management_url
    code, output, _ = await command(*apply, RABBITMQ_MANAGEMENT_URL=management)
    assert code == 0
    assert output.endswith("queues bounded by policy figures.views: 1\n")


async def test_a_broker_that_is_away_is_one_line_and_a_failure(document: list[str]) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "libs.messaging", "topology", "apply", *document,
        cwd=ROOT, env=os.environ | {"RABBITMQ_URL": "amqp://127.0.0.1:1/"},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    output, errors = await process.communicate()
    assert process.returncode == 1
    assert output == b""
    assert errors.startswith(b"error: cannot declare on RabbitMQ")
    assert len(errors.splitlines()) == 1


async def test_a_database_that_is_away_is_one_line_and_a_failure(command: CommandLine) -> None:
    code, _, errors = await command(
        "outbox", "status", DATABASE_URL="postgresql://x:y@127.0.0.1:1/z"
    )
    assert code == 1
    assert errors.startswith("error: ")
    assert len(errors.splitlines()) == 1


async def test_participants_or_a_document_that_are_not_there_are_one_line_and_a_failure(
    command: CommandLine, tmp_path: Path
) -> None:
    code, _, errors = await command("choreography", "--participants", "services.nowhere:one")
    assert code == 1
    assert errors == "error: services.nowhere:one: No module named 'services.nowhere'\n"
    missing = tmp_path / "nowhere.json"
    code, _, errors = await command("topology", "show", "--choreography", str(missing))
    assert code == 1
    assert errors == f"error: {missing}: No such file or directory\n"


async def test_dead_letters_are_listed_shown_and_discarded(
    command: CommandLine, document: list[str], channel: AbstractChannel, broker: str
) -> None:
    event_id, other_id = uuid7(), uuid7()
    bodies = [sample.on_the_wire(sample.order_placed(), each) for each in (event_id, other_id)]
    await send(channel, *bodies, exchange="credit.dlx", routing_key=sample.QUEUE)
    identifier = str(event_id)
    code, output, _ = await command("dead", "list", *document, RABBITMQ_URL=broker)
    assert code == 0
    assert identifier in output
    assert output.endswith("2 dead letters\n")
    code, output, _ = await command(
        "dead", "show", "credit", identifier, *document, RABBITMQ_URL=broker
    )
    assert code == 0
    assert f"queue: {sample.QUEUE}" in output
    code, output, _ = await command(
        "dead", "discard", "credit", identifier, *document, RABBITMQ_URL=broker
    )
    assert (code, output.splitlines()[-1]) == (0, "1 discarded")
    code, output, _ = await command(
        "dead", "redrive", "credit", "--all", *document, RABBITMQ_URL=broker
    )
    assert (code, output.splitlines()[-1]) == (0, "1 sent again")


async def test_a_dead_letter_too_old_to_redrive_names_reissue_in_one_line(
    command: CommandLine, channel: AbstractChannel, broker: str, document: list[str]
) -> None:
    old = "01800000-0000-7000-8000-000000000000"
    body = sample.on_the_wire(sample.order_placed(), UUID(old))
    await send(channel, body, exchange="credit.dlx", routing_key=sample.QUEUE)
    places = {"RABBITMQ_URL": broker}
    code, _, errors = await command("dead", "redrive", "credit", old, *document, **places)
    assert code == 1
    assert errors.startswith(f"error: {old} would come back at once, for it was made at ")
    assert errors.endswith(f": dead reissue credit {old}\n")
    code, output, errors = await command("dead", "redrive", "credit", "--all", *document, **places)
    assert (code, output) == (1, "0 sent again\n")
    assert errors.startswith(f"kept: {old} would come back at once")
    code, _, errors = await command("dead", "reissue", "credit", old, *document, **places)
    assert code == 1
    assert errors.endswith("a new effect (--not-handled if you know that it was not)\n")
    code, output, _ = await command(
        "dead", "reissue", "credit", old, "--not-handled", *document, **places
    )
    assert code == 0
    assert output.startswith(f"reissued: {old} {sample.QUEUE} as ")
    assert await waiting(channel) == 1


@pytest.mark.slow
async def test_pruning_lists_first_and_deletes_when_asked(
    command: CommandLine,
    broker: str,
    channel: AbstractChannel,
    rabbitmq_server: RabbitMQServer,
    document: list[str],
) -> None:
    places = {"RABBITMQ_URL": broker, "RABBITMQ_MANAGEMENT_URL": rabbitmq_server.management_url}
    await channel.declare_queue("credit.on.old.v1", durable=True)
    line = "queue credit.on.old.v1: no longer wanted, holds 0 messages"
    code, _, errors = await command("topology", "check", *document, **places)
    assert (code, errors) == (1, f"{line}\n")
    code, output, _ = await command("topology", "prune", *document, **places)
    assert code == 0
    assert output.splitlines() == [
        line,
        "nothing was deleted: --yes deletes what is empty and unused",
    ]
    code, output, _ = await command("topology", "prune", "--yes", *document, **places)
    assert (code, output.splitlines()) == (0, [f"deleted: {line}", "1 deleted"])
    code, output, _ = await command("topology", "check", *document, **places)
    assert (code, output) == (0, "all as it should be\n")


async def test_the_outbox_says_how_much_waits(
    command: CommandLine, engine: AsyncEngine, database: str
) -> None:
    async with engine.begin() as connection:
        await sample.transactions(engine).outbox.add(
            connection,
            sample.CreditReserved(tenant_id="default", sequence=1, order_id=uuid7(), total_cents=1),
        )
    code, output, _ = await command("outbox", "status", DATABASE_URL=database)
    assert code == 0
    assert output.startswith("1 waiting, the oldest for ")


async def test_the_picture_is_written_once_and_stale_when_it_was_touched(
    command: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    wanted = [*PARTICIPANTS, "--choreography", "choreography.json"]
    readmes = [
        tmp_path / "README.md",
        tmp_path / "services" / "shop" / "README.md",
        tmp_path / "services" / "credit" / "README.md",
        tmp_path / "docs" / "choreography.md",
    ]
    for readme in readmes:
        readme.parent.mkdir(parents=True, exist_ok=True)
        readme.write_text(f"# Title\n\n{BEGIN}\n{END}\n")
    code, _, errors = await command("choreography", "--check", *wanted)
    assert code == 1
    assert "README.md is stale: run the command choreography" in errors.splitlines()
    assert "docs/choreography.md is stale: run the command choreography" in errors.splitlines()
    assert await command("choreography", *wanted) == (0, "the services fit together\n", "")
    code, *_ = await command("choreography", "--check", *wanted)
    assert code == 0
    document = tmp_path / "choreography.json"
    assert read(document) == choreography_of([sample.shop(), sample.credit()])
    document.write_text(document.read_text().replace("order.placed", "order.lost"))
    code, _, errors = await command("choreography", "--check", *wanted)
    assert (code, errors) == (1, "choreography.json is stale: run the command choreography\n")
    await command("choreography", *wanted)
    readmes[1].write_text(readmes[1].read_text().replace("order.placed", "order.lost"))
    code, _, errors = await command("choreography", "--check", *wanted)
    assert code == 1
    assert errors == "services/shop/README.md is stale: run the command choreography\n"


async def test_a_deleted_queue_is_restored_from_the_archive_with_one_effect_each(
    command: CommandLine,
    document: list[str],
    engine: AsyncEngine,
    database: str,
    broker: str,
    channel: AbstractChannel,
    subscribe: Subscribe,
) -> None:
    relay = Relay(
        "shop",
        database_dsn=database.replace("+asyncpg", ""),
        rabbitmq_url=broker,
        window=InboxWindow(),
        settings=QUICK,
        unconsumed=[sample.CreditReserved.type],
        retention=timedelta(days=7),
    )
    await relay.start()
    try:
        first = await subscribe()
        await place_orders(engine, range(5))
        await until_reserved(engine, 5)
        await first.stop()
        await place_orders(engine, range(5, 10))

        async def all_there() -> bool:
            return await waiting(channel) == 5

        await eventually(all_there)
    finally:
        await relay.stop()
    await channel.queue_delete(sample.QUEUE)

    assert (await command("topology", "apply", *document, RABBITMQ_URL=broker))[0] == 0
    replay = await command(
        "topology", "replay", sample.QUEUE, RABBITMQ_URL=broker, DATABASE_URL=database
    )
    assert replay == (0, f"sent 10 events to {sample.QUEUE}\n", "")
    second = await subscribe()
    assert sorted(await until_reserved(engine, 10)) == list(range(10))
    await second.stop()
    assert await waiting(channel) == 0
    assert len(await reserved(engine)) == 10


async def place_orders(engine: AsyncEngine, totals: Iterable[int]) -> None:
    """Publish orders as the shop, which shares the database of the credit service here."""
    async with engine.begin() as connection:
        await Outbox("shop", sample.TABLES).add(
            connection, *(sample.order_placed(total_cents=total) for total in totals)
        )
