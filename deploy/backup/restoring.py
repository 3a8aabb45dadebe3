"""A restore makes a backup the data of a system, in steps that continue after a killed process.

`put_back` makes the files of the database server and leaves a mark among them. Each start of the
system calls `switch` before Postgres and `finish` before any service: while the mark exists they
continue the restore. `finish` repeats the erasures made since the backup, and removes from the
broker what the databases do not know.
"""

import asyncio
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import asyncpg
from aio_pika.exceptions import AMQPError

from deploy.backup import files, sealed
from deploy.backup.failure import BackupFailed
from deploy.backup.queues import rewind
from deploy.backup.sets import BackupSet, Folder, path_of
from deploy.checker.verify import databases
from deploy.installation import ADMINISTRATOR, CHOREOGRAPHY, ROOT, SUPERUSER, Installation
from deploy.passwords import RETIRED, Passwords
from deploy.servers.postgres import data_folder
from deploy.services import service_named
from libs.messaging.saga.choreography import read

MARK = "restored.json"
KEYS = "restored-keys.json"
LOG_SETTINGS = "postgresql.auto.conf"
BROKERS_OWN = "rabbitmq "
"""The names of the broker's passwords have this prefix. The broker keeps its data, so they do not
change.
"""

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Place:
    """A system has these places: the database server's files, the passwords and keys, the erasure
    ledger.
    """

    data: Path
    keys: Path
    ledger: Path

    @property
    def draft(self) -> Path:
        return self.data.with_name(f"{self.data.name}.restored")

    def before(self) -> list[Path]:
        """Return the data that restores have put aside."""
        return sorted(self.data.parent.glob(f"{self.data.name}.before-*"))


def place_of(folder: Path) -> Place:
    """Return the places of the private system of a folder."""
    ledger = folder / "files" / "customers-erasures.jsonl"
    return Place(data_folder(folder), folder / "secrets.json", ledger)


def put_back(
    folder: Folder,
    found: BackupSet,
    place: Place,
    *,
    until: tuple[datetime, Path] | None,
    tell: Tell,
) -> Path | None:
    """Put a backup where a system has its data. With `until`, the write-ahead log archived in that
    folder is replayed up to that moment. Returns the place of the data from before.

    Raises BackupFailed; the system is then as it was.
    """
    if until is not None and until[0] < found.finished_at:
        raise BackupFailed(f"backup {found.name} ends later, at {found.finished_at.isoformat()}")
    identity = folder.identity()
    folder.check(found)
    files.require(found.postgres)
    files.clear(place.draft)
    try:
        tell("unpacking")
        files.unpack(folder.path / path_of("databases", found.name), identity, place.draft)
        keys = _merged_keys(folder, found, identity, place)
        tell("recovering")
        recover(place.draft, until, Passwords(keys).password(SUPERUSER))
        merge_ledgers(folder, identity, place.ledger)
        moment = until[0] if until else found.started_at
        # Each restore gets a name of its own, also two of one backup.
        now = datetime.now(UTC).isoformat()
        mark = {"backup": found.name, "moment": moment.isoformat(), "restored_at": now}
        (place.draft / MARK).write_text(json.dumps(mark))
    except OSError as error:
        shutil.rmtree(place.draft, ignore_errors=True)
        raise BackupFailed(f"{error.filename}: {error.strerror}") from None
    except BaseException:
        shutil.rmtree(place.draft, ignore_errors=True)
        raise
    return switch(place)


def switch(place: Place) -> Path | None:
    """Replace the data by a restore that is ready. Returns the place of the data from before; None
    where no restore is ready.
    """
    if not (place.draft / MARK).exists():
        return None
    before = None
    if place.data.exists():
        name = f"{place.data.name}.before-{len(place.before()) + 1}"
        before = place.data.rename(place.data.with_name(name))
    keys = place.draft / KEYS
    if keys.exists():
        if place.keys.exists():
            shutil.copy2(place.keys, place.keys.with_suffix(".before"))
        with suppress(FileNotFoundError):
            place.keys.with_suffix(".draft").unlink()
        shutil.copy2(keys, place.keys.with_suffix(".draft"))
        place.keys.with_suffix(".draft").replace(place.keys)
        keys.unlink()
    place.draft.rename(place.data)
    return before


def recover(data: Path, until: tuple[datetime, Path] | None, password: str) -> None:
    """Bring the files to a moment from which a server can continue, and give the superuser this
    password. Raises BackupFailed where the server does not start.
    """
    settings = data / LOG_SETTINGS
    own = settings.read_text()
    if until is not None:
        files.follow_log(data, until[1], until[0])
    with files.serving(data) as sockets:
        asyncio.run(_set_password(sockets, password))
    settings.write_text(own)


def finish(data: Path, installation: Installation, tell: Tell) -> None:
    """Complete a restore before any service starts. Do nothing where no restore is unfinished.

    Raises BackupFailed; this may be called again.
    """
    mark = data / MARK
    if not mark.exists():
        return
    moment = datetime.fromisoformat(json.loads(mark.read_text())["moment"])
    tell(f"restored to {moment.isoformat(timespec='seconds')}")
    if installation.ledger.exists():
        tell(replay_erasures(installation))
    try:
        done = asyncio.run(
            rewind(
                databases(installation),
                read(CHOREOGRAPHY).participants,
                installation.broker_url(ADMINISTRATOR),
                moment,
            )
        )
    except (OSError, asyncpg.PostgresError, AMQPError) as error:
        raise BackupFailed(f"the queues: {' '.join(str(error).split())}") from None
    tell(f"queues: {done.discarded} messages of later discarded, {done.sent} events sent again")
    mark.unlink()


def replay_erasures(installation: Installation) -> str:
    """Repeat the erasures of the ledger. Returns a line on that. Raises BackupFailed."""
    settings = installation.settings(service_named("customers"), "127.0.0.1", 0)
    done = subprocess.run(
        [sys.executable, "-m", "services.customers.main", "replay-erasures"],
        cwd=ROOT,
        env={**os.environ, "AUTH": "off", **settings},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f"code {done.returncode}"]
        raise BackupFailed(f"erasures are not replayed: {lines[-1].removeprefix('error: ')}")
    return done.stdout.strip()


def merge_ledgers(folder: Folder, identity: str, ledger: Path) -> None:
    """Add to the ledger the entries that only the backups' ledgers have, because a forgotten
    erasure brings a person's data back.
    """
    known = ledger.read_bytes().splitlines() if ledger.exists() else []
    lines = dict.fromkeys(known)
    for name in folder.names():
        place = folder.path / path_of("ledger", name)
        if place.exists():
            with sealed.opened(place, identity) as stream:
                lines.update(dict.fromkeys(stream.read().splitlines()))
    if len(lines) > len(known):
        ledger.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = ledger.with_suffix(".draft")
        draft.unlink(missing_ok=True)
        draft.touch(mode=0o600)
        draft.write_bytes(b"".join(line + b"\n" for line in lines))
        draft.replace(ledger)


def keys_of(folder: Folder, found: BackupSet, identity: str) -> dict[str, str] | None:
    """Return the keys of a backup; None where the folder lacks its file of keys."""
    place = folder.path / path_of("keys", found.name)
    if not place.exists():
        return None
    with sealed.opened(place, identity) as stream:
        keys: dict[str, str] = json.loads(stream.read())
    return keys


def _merged_keys(folder: Folder, found: BackupSet, identity: str, place: Place) -> Path:
    """Return the file of the keys of the restored system. The backup's keys open what its databases
    have sealed; the passwords of the broker stay as they are.
    """
    now: dict[str, str] = json.loads(place.keys.read_text()) if place.keys.exists() else {}
    then = keys_of(folder, found, identity)
    if then is None and not now:
        raise BackupFailed(
            f"the keys of backup {found.name} are not in {folder.path / 'keys'}: put the file that "
            "was kept elsewhere there"
        )
    if then is not None:  # a key that was retired since opens data of the backup
        now = {name: each for name, each in now.items() if not name.startswith(RETIRED)}
    brokers = {name: each for name, each in now.items() if name.startswith(BROKERS_OWN)}
    keys = place.draft / KEYS
    keys.touch(mode=0o600)
    keys.write_text(json.dumps({**now, **(then or {}), **brokers}, indent=2) + "\n")
    return keys


async def _set_password(sockets: Path, password: str) -> None:
    connection = await asyncpg.connect(host=str(sockets), user=SUPERUSER, database="postgres")
    try:
        literal = await connection.fetchval("SELECT quote_literal($1)", password)
        await connection.execute(f"ALTER ROLE {SUPERUSER} PASSWORD {literal}")
    finally:
        await connection.close()
