"""Before any service starts on restored servers, persons are erased again and the
queues agree with the backup.
"""

import asyncio
import json
from pathlib import Path
from uuid import UUID

import aio_pika
import asyncpg
import pytest

from deploy.backup import job
from deploy.backup.cluster import Server
from deploy.backup.restoring import MARK, finish, place_of, put_back
from deploy.backup.sets import Folder
from deploy.installation import ADMINISTRATOR, BACKUP, SUPERUSER, Installation
from deploy.local import private
from deploy.local.state import State
from deploy.servers.processes import Children
from libs.kernel.ids import time_of, uuid7
from tests.integration.deploy.systems import own_place, private_only

pytestmark = [pytest.mark.long, pytest.mark.slow, pytest.mark.timeout(900), private_only]
EVENT = "order.confirmed.v1"
QUEUES = (f"customers.on.{EVENT}", f"portal.on.{EVENT}")
ARCHIVE = """
    INSERT INTO outbox_archive (seq, id, subject, type, body, created_at)
    VALUES (1, $1, 's', $2, '{}', $3)"""


class Servers:
    """`Servers` are a folder's Postgres and RabbitMQ, for services that are never started."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        folder.mkdir(mode=0o711)
        self.state: State | None = None
        self._children = Children(folder, tied=True)
        monkeypatch.setattr(private, "Children", lambda *_, **__: self._children)
        monkeypatch.setattr(private, "_start_services", lambda *_: None)

    def start(self) -> None:
        self.state = private.start(self.folder, self.state)

    def stop(self) -> None:
        self._children.stop()

    @property
    def installation(self) -> Installation:
        assert self.state is not None
        return self.state.installation(self.folder)

    def back_up(self, backups: Folder) -> None:
        server = Server(self.installation.database_url("postgres", BACKUP))
        source = job.Source(server, self.installation.ledger, self.folder / "secrets.json")
        job.run(backups, source, print, lambda *_: None)

    def archive(self, identifier: UUID) -> None:
        async def work() -> None:
            url = self.installation.database_url("orders", SUPERUSER)
            connection = await asyncpg.connect(url)
            await connection.execute(ARCHIVE, identifier, EVENT, time_of(identifier))
            await connection.close()

        asyncio.run(work())

    def publish(self, identifier: UUID) -> None:
        """Publish an event as the relay of orders does."""

        async def work() -> None:
            async with await aio_pika.connect(self._broker) as connection:
                channel = await connection.channel()
                exchange = await channel.get_exchange("orders")
                message = aio_pika.Message(b"{}", message_id=str(identifier), type=EVENT)
                await exchange.publish(message, EVENT)

        asyncio.run(work())

    def queued(self, queue: str) -> list[str | None]:
        """Remove all messages from the queue, and return their ids."""

        async def work() -> list[str | None]:
            async with await aio_pika.connect(self._broker) as connection:
                channel = await connection.channel()
                declared = await channel.declare_queue(queue, passive=True)
                found = []
                while message := await declared.get(no_ack=True, fail=False):
                    found.append(message.message_id)
                return found

        return asyncio.run(work())

    @property
    def _broker(self) -> str:
        return self.installation.broker_url(ADMINISTRATOR)


def test_before_any_service_starts_people_are_erased_again_and_the_queues_are_of_the_backup(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with own_place() as folder:
        servers, backups = Servers(folder, monkeypatch), Folder(folder.parent / "backups")
        servers.start()
        try:
            known, lost = uuid7(), uuid7()
            servers.archive(known)  # no service had consumed it
            servers.back_up(backups)
            servers.publish(lost)
            erased = {"customer_id": str(uuid7()), "tenant_id": "default"}
            line = json.dumps({**erased, "erased_at": "2026-11-27T05:00:00+00:00"})
            servers.installation.ledger.write_text(line + "\n")
            servers.stop()
            found = backups.read(backups.names()[0])
            put_back(backups, found, place_of(folder), until=None, tell=print)
            assert (place_of(folder).data / MARK).exists()

            servers.start()

            said = capsys.readouterr().out
            assert "1 erasures in the ledger, 0 customers erased again" in said
            assert "queues: 2 messages of later discarded, 2 events sent again" in said
            assert not (place_of(folder).data / MARK).exists()
            assert [servers.queued(queue) for queue in QUEUES] == [[str(known)], [str(known)]]
            finish(place_of(folder).data, servers.installation, print)
            assert capsys.readouterr().out == ""  # it is not done again
        finally:
            servers.stop()
