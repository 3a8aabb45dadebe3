"""Backups of a server hold what they must, and a backup that cannot be used is refused."""

import asyncio
import errno
import io
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from deploy.backup import files, sealed
from deploy.backup.backing_up import back_up
from deploy.backup.cluster import Server
from deploy.backup.failure import BackupFailed
from deploy.backup.restoring import Place, merge_ledgers, put_back, switch
from deploy.backup.sets import NAME, BackupSet, Folder, path_of
from deploy.installation import ROOT
from deploy.passwords import Passwords
from deploy.servers.ports import Ports
from deploy.servers.postgres import start_postgres
from deploy.servers.processes import Children
from tests.fixtures.servers import server_folder
from tests.integration.deploy.systems import private_only

pytestmark = [pytest.mark.long, pytest.mark.slow, private_only]
PASSWORD = "secret"
TAKE_FOR_EVER = """
import asyncio, sys, time
from pathlib import Path
from deploy.backup.backing_up import back_up
from deploy.backup.cluster import Server
from deploy.backup.sets import Folder
def tell(done, about):
    print("copies", flush=True)
    time.sleep(60)
folder, place = Folder(Path(sys.argv[1])), Path(sys.argv[2])
with folder.exclusive():
    asyncio.run(back_up(folder, Server(sys.argv[3]), place, place, tell))
"""


def nothing(*_: object) -> None:
    pass


def url_of(port: int) -> str:
    return f"postgresql://postgres:{PASSWORD}@127.0.0.1:{port}/postgres"


class System:
    """A `System` is a database server, the keys and the ledger beside it, and their backups."""

    def __init__(self, folder: Path, port: int) -> None:
        self.server = Server(url_of(port))
        self.place = Place(folder / "restored", folder / "secrets.json", folder / "ledger.jsonl")
        self.place.keys.write_text(json.dumps({"postgres": "another", "rabbitmq x": "now"}))
        self.backups = Folder(folder / "backups")

    def back_up(self) -> BackupSet:
        with self.backups.exclusive():
            return asyncio.run(
                back_up(self.backups, self.server, self.place.ledger, self.place.keys, nothing)
            )

    def sql(self, statement: str) -> None:
        async def work() -> None:
            connection = await asyncpg.connect(self.server.url)
            await connection.execute(statement)
            await connection.close()

        asyncio.run(work())

    def restored(self, question: str) -> object:
        """Return the answer of a server that runs on the restored files."""

        async def ask(sockets: Path) -> object:
            connection = await asyncpg.connect(
                host=str(sockets), user="postgres", database="postgres"
            )
            try:
                return await connection.fetchval(question)
            finally:
                await connection.close()

        with files.serving(self.place.data) as sockets:
            return asyncio.run(ask(sockets))


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with server_folder() as folder:
        children, port = Children(folder, tied=True), Ports().pick()
        try:
            start_postgres(children, port, PASSWORD, durable=False)
            yield port
        finally:
            children.stop()


@pytest.fixture
def system(port: int) -> Iterator[System]:
    with server_folder() as folder:
        yield System(folder, port)


def test_a_backup_becomes_a_server_with_all_that_was_committed_before_it(system: System) -> None:
    system.sql("DROP TABLE IF EXISTS kept; CREATE TABLE kept AS SELECT 42 AS n")
    system.place.ledger.write_text('{"customer_id": "a"}\n')
    made = system.back_up()
    system.sql("DROP TABLE kept")

    assert put_back(system.backups, made, system.place, until=None, tell=nothing) is None

    assert not list(system.place.data.glob(".s.PGSQL.*"))  # sockets of the copied server
    assert system.restored("SELECT n FROM kept") == 42
    assert system.place.data.stat().st_mode & 0o077 == 0
    again = put_back(system.backups, made, system.place, until=None, tell=nothing)
    assert again in system.place.before()


def test_data_and_what_opens_it_lie_apart_and_nothing_is_readable_without_the_identity(
    system: System,
) -> None:
    system.sql("DROP TABLE IF EXISTS canary; CREATE TABLE canary AS SELECT 'canary-7351' AS c")
    system.place.ledger.write_text("ledger-canary-7351\n")
    made = system.back_up()

    assert {Path(each).parts[0] for each in made.files} == {"databases", "ledger", "keys"}
    for path in made.files:
        place = system.backups.path / path
        assert place.stat().st_mode & 0o077 == 0
        assert place.read_bytes().startswith(b"age-encryption.org/v1\n")
        with (
            pytest.raises(BackupFailed, match="cannot be decrypted: No matching keys"),
            sealed.opened(place, sealed.new_identity()) as stream,
        ):
            stream.read()
    databases = system.backups.path / path_of("databases", made.name)
    with sealed.opened(databases, system.backups.identity()) as stream:
        content = stream.read()
    assert b"another" not in content  # a password of the keys


@pytest.mark.parametrize("kind", ["databases", "ledger", "keys"])
def test_a_damaged_file_is_refused_before_anything_changes(system: System, kind: str) -> None:
    system.place.ledger.write_text("{}\n")
    made = system.back_up()
    place = system.backups.path / path_of(kind, made.name)
    content = bytearray(place.read_bytes())
    content[len(content) // 2] ^= 1
    place.write_bytes(content)

    with pytest.raises(BackupFailed, match=f"{kind}.* is damaged: its checksum is another one"):
        put_back(system.backups, made, system.place, until=None, tell=nothing)

    assert not system.place.data.exists()
    assert not system.place.draft.exists()


def test_a_cut_file_whose_checksum_fits_is_refused_too(system: System) -> None:
    made = system.back_up()
    path = path_of("databases", made.name)
    place = system.backups.path / path
    place.write_bytes(place.read_bytes()[:-1000])
    cut = BackupSet(**{**vars(made), "files": {path: sealed.checksum(place)}})

    with pytest.raises(BackupFailed, match="cannot be decrypted"):
        put_back(system.backups, cut, system.place, until=None, tell=nothing)

    assert not system.place.draft.exists()


def test_a_backup_that_is_killed_leaves_no_backup_and_the_next_one_cleans_up(
    system: System, port: int
) -> None:
    folder = system.backups.path
    arguments = [str(folder), str(system.place.keys), url_of(port)]
    with subprocess.Popen(
        [sys.executable, "-c", TAKE_FOR_EVER, *arguments], cwd=ROOT, stdout=subprocess.PIPE
    ) as taking:
        assert taking.stdout is not None
        assert taking.stdout.readline() == b"copies\n"
        with pytest.raises(BackupFailed, match="another backup is at work"):
            system.back_up()
        taking.send_signal(signal.SIGKILL)
    assert list(folder.rglob("*.draft"))
    assert system.backups.names() == []

    made = system.back_up()

    assert system.backups.names() == [made.name]
    assert not list(folder.rglob("*.draft"))
    system.sql("SELECT 1 / (count(*) = 0)::int FROM pg_replication_slots")  # no slot is left


def test_a_restore_killed_before_the_last_step_is_gone_on_with(system: System) -> None:
    made = system.back_up()
    put_back(system.backups, made, system.place, until=None, tell=nothing)
    system.place.data.rename(system.place.draft)
    system.place.data.mkdir()  # data that existed before

    assert switch(system.place) in system.place.before()
    assert switch(system.place) is None

    assert system.restored("SELECT 1") == 1


def test_a_restore_waits_for_the_server_of_a_killed_one_that_still_writes(
    system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = system.back_up()
    system.place.draft.mkdir()
    delete = shutil.rmtree
    busy = [OSError(errno.ENOTEMPTY, os.strerror(errno.ENOTEMPTY), "pg_wal")]

    def rmtree(path: Path, **options: Any) -> None:
        if not busy:
            delete(path, **options)
        elif (error := busy.pop()) and not options.get("ignore_errors"):
            raise error

    monkeypatch.setattr(shutil, "rmtree", rmtree)

    put_back(system.backups, made, system.place, until=None, tell=nothing)

    assert system.restored("SELECT 1") == 1


def test_passwords_of_the_broker_stay_and_the_rest_is_of_the_backup(system: System) -> None:
    made = system.back_up()
    now = {"postgres": "newer", "rabbitmq x": "newer", "later": "kept"}
    system.place.keys.write_text(json.dumps(now))

    put_back(system.backups, made, system.place, until=None, tell=nothing)

    assert json.loads(system.place.keys.read_text()) == {
        "postgres": "another",
        "rabbitmq x": "newer",
        "later": "kept",
    }
    assert system.place.keys.stat().st_mode & 0o077 == 0
    assert json.loads(system.place.keys.with_suffix(".before").read_text()) == now


def test_a_data_key_that_was_retired_since_opens_what_the_backup_holds(system: System) -> None:
    keys = Passwords(system.place.keys)
    first = keys.key("customers data")
    made = system.back_up()
    keys.add_key("customers data")
    keys.retire_old_keys("customers data")
    newest = keys.keys("customers data")["2"]
    assert list(keys.keys("customers data")) == ["2"]

    put_back(system.backups, made, system.place, until=None, tell=nothing)

    assert Passwords(system.place.keys).keys("customers data") == {"2": newest, "1": first}


def test_a_person_erased_after_a_backup_is_in_the_ledger_of_the_restored_system(
    system: System,
) -> None:
    system.place.ledger.write_text("a\n")
    system.back_up()
    old = system.backups.names()[0]
    later = datetime.strptime(old, NAME).replace(tzinfo=UTC) + timedelta(days=1)
    for kind in ("databases", "keys"):
        here = system.backups.path / path_of(kind, old)
        (here.with_name(here.name.replace(old, f"{later:{NAME}}"))).write_bytes(here.read_bytes())
    sealed.seal(
        io.BytesIO(b"a\nb\n"),
        system.backups.path / path_of("ledger", f"{later:{NAME}}"),
        system.backups.recipient(),
    )
    described = BackupSet(**{**vars(system.backups.read(old)), "name": f"{later:{NAME}}"})
    system.backups.write(described)
    system.place.ledger.write_text("c\n")

    merge_ledgers(system.backups, system.backups.identity(), system.place.ledger)

    assert system.place.ledger.read_text() == "c\na\nb\n"


def test_backups_older_than_thirty_days_go_but_never_the_newest(system: System) -> None:
    made = system.back_up()
    moment = datetime.strptime(made.name, NAME).replace(tzinfo=UTC)

    assert system.backups.drop_expired(moment + timedelta(days=400)) == []
    older = f"{moment - timedelta(days=1):{NAME}}"
    system.backups.write(BackupSet(**{**vars(made), "name": older}))
    assert system.backups.drop_expired(moment + timedelta(days=28)) == []
    assert system.backups.drop_expired(moment + timedelta(days=29, seconds=1)) == [older]
    assert system.backups.names() == [made.name]
    orphan = system.backups.path / path_of("databases", older)
    orphan.write_bytes(b"of a backup that was killed")
    system.backups.drop_expired(moment)
    assert not orphan.exists()
    assert (system.backups.path / path_of("databases", made.name)).exists()


@pytest.mark.parametrize(
    ("part", "other", "words"),
    [
        (f":{PASSWORD}@", ":wrong@", "password authentication failed"),
        ("@127.0.0.1:", "@127.0.0.2:", "the database server: .*Connect call failed"),
        ("postgres:", "nobody:", "password authentication failed"),
    ],
)
def test_a_server_that_lets_nobody_in_is_one_line_and_leaves_nothing(
    system: System, part: str, other: str, words: str
) -> None:
    system.server = Server(system.server.url.replace(part, other))

    with pytest.raises(BackupFailed, match=words) as refused:
        system.back_up()

    assert "\n" not in str(refused.value)
    assert [each for each in system.backups.path.rglob("*") if each.suffix == ".draft"] == []


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("BACKUP_RECIPIENT", "nobody", "no age recipient"),
        ("BACKUP_IDENTITY_FILE", "/nowhere", "/nowhere: No such file"),
        ("BACKUP_IDENTITY_FILE", "/dev/null", "does not hold one age identity"),
    ],
)
def test_malformed_keys_are_one_line(
    system: System, name: str, value: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)

    with pytest.raises(BackupFailed, match=words):
        _there_and_back(system)


def _there_and_back(system: System) -> None:
    put_back(system.backups, system.back_up(), system.place, until=None, tell=nothing)


def test_a_backup_for_a_recipient_needs_no_identity_on_this_machine(
    system: System, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    identity = sealed.new_identity()
    monkeypatch.setenv("BACKUP_RECIPIENT", sealed.recipient_of(identity))
    made = system.back_up()
    assert not (system.backups.path / "identity.txt").exists()
    kept = tmp_path / "identity"
    kept.write_text(f"# kept elsewhere\n{identity}\n")
    monkeypatch.setenv("BACKUP_IDENTITY_FILE", str(kept))

    put_back(system.backups, made, system.place, until=None, tell=nothing)

    assert system.restored("SELECT 1") == 1


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("nonsense", "'nonsense' names no backup: ./taskw backup --list"),
        ("../keys/20261127T102618Z", "names no backup"),
        ("20261127T102618Z", "there is no backup 20261127T102618Z in"),
    ],
)
def test_a_name_of_no_backup_is_one_line(system: System, name: str, words: str) -> None:
    with pytest.raises(BackupFailed, match=words):
        system.backups.read(name)


def test_a_backup_of_another_postgres_is_refused(system: System) -> None:
    made = system.back_up()
    older = BackupSet(**{**vars(made), "postgres": made.postgres - 1})

    with pytest.raises(BackupFailed, match=f"of Postgres {made.postgres - 1}, and the programs"):
        put_back(system.backups, older, system.place, until=None, tell=nothing)


def test_a_disk_that_is_full_leaves_no_backup(
    system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> int:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(sealed._Summed, "write", full)

    with pytest.raises(BackupFailed, match="No space left"):
        system.back_up()

    assert system.backups.names() == []
    assert not list(system.backups.path.rglob("*.age"))
    assert not list(system.backups.path.rglob("*.draft"))
