"""The system in containers has backups. A separate container makes one each day and cannot read it;
a job that gets the identity restores it.
"""

import asyncio
import os
import shutil
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from deploy.backup import job, sealed
from deploy.backup.checking import restore_aside
from deploy.backup.cluster import Server
from deploy.backup.copies import wanted
from deploy.backup.failure import BackupFailed
from deploy.backup.restoring import Place, finish, put_back
from deploy.backup.sets import NAME, Folder
from deploy.commands import CommandRefused, command
from deploy.docker.volumes import FILES, SEALED_KEYS, SECRETS
from deploy.installation import BACKUP, Installation

BACKUPS = SECRETS.with_name("backups")
RESTORED = SECRETS.with_name("restored") / "data"
"""From this place the job `data` makes the database's folder."""
EVERY_SECONDS = 86_400.0
"""Two backups have this time between them, unless BACKUP_EVERY_SECONDS says otherwise."""
AGAIN_SECONDS = 900.0
LOOK_SECONDS = 30.0


def make_each_day(installation: Installation) -> None:
    """Make a backup when the newest is a day old, for ever. A failure is reported in a line, and
    tried again a quarter of an hour later. Raises BackupFailed where nobody could read the backups.
    """
    if not (SECRETS / SEALED_KEYS).exists():
        raise BackupFailed(
            "BACKUP_RECIPIENT is not set: `docker compose run --rm --no-deps backup new-identity` "
            "makes the identity up that belongs to one"
        )
    folder = Folder(BACKUPS)
    server = Server(installation.database_url("postgres", BACKUP))
    source = job.Source(server, installation.ledger, SECRETS / SEALED_KEYS)
    every = timedelta(seconds=float(os.environ.get("BACKUP_EVERY_SECONDS") or EVERY_SECONDS))
    pause = timedelta(seconds=min(AGAIN_SECONDS, every.total_seconds()))
    due = _last(folder) + every
    while True:
        if datetime.now(UTC) >= due:
            try:
                made = job.run(folder, source, say, lambda *_: None)
                asyncio.run(command(installation, "portal", "record-backup", made.name))
                due = _last(folder) + every
            except (BackupFailed, CommandRefused) as error:
                say(f"not backed up: {error}")
                due = datetime.now(UTC) + pause
        time.sleep(min(LOOK_SECONDS, every.total_seconds()))


def new_identity() -> None:
    """Print a new identity, as `age-keygen` does."""
    identity = sealed.new_identity()
    print(f"# BACKUP_RECIPIENT={sealed.recipient_of(identity)}\n{identity}")


def check(name: str | None) -> bool:
    """Restore a backup into a place of its own, which is then deleted. Returns whether all
    invariants hold in it. Raises BackupFailed where it cannot be restored.
    """
    folder = _with_identity()
    with folder.exclusive():
        found = wanted(folder, name, say)
        checked = restore_aside(folder, found, _place(), say)
    for invariant in checked.report.invariants:
        say(f"{'BROKEN' if invariant.count else 'holds'}: {invariant.rule}")
    say(f"backup {found.name}: {checked.erasures}")
    return checked.report.hold


def restore(name: str | None) -> None:
    """Prepare a backup for the next start, with its keys and every erasure known since. Raises
    BackupFailed; the system is then as it was.
    """
    folder, place = _with_identity(), _place()
    RESTORED.parent.mkdir(parents=True, exist_ok=True)
    with folder.exclusive():
        found = wanted(folder, name, say)
        shutil.rmtree(place.data, ignore_errors=True)  # a restore that no start has used
        put_back(folder, found, place, until=None, tell=say)
    for each in (
        place.data,
        *place.data.rglob("*"),
    ):  # for the server's user; nobody else can enter this folder
        each.chmod(0o755 if each.is_dir() else 0o644)
    say(f"backup {found.name} is ready: docker volume rm the one that ends in _db, then start")


def go_on(installation: Installation) -> None:
    """Complete a restore before any service starts on the database. Do nothing where it is
    complete. Raises BackupFailed where that fails.
    """
    finish(RESTORED, installation, say)
    shutil.rmtree(RESTORED, ignore_errors=True)


def say(line: str) -> None:
    print(line, flush=True)


def _place() -> Place:
    return Place(RESTORED, SECRETS / "secrets.json", FILES / "customers-erasures.jsonl")


def _with_identity() -> Folder:
    """Return the folder of backups, with the identity from the standard input."""
    if sys.stdin.isatty():
        raise BackupFailed("give the identity: docker compose run --rm -T … < identity.txt")
    place = Path("/tmp/identity")  # noqa: S108  # nosec B108  # the container's own
    place.touch(mode=0o600)
    place.write_text(sys.stdin.read())
    os.environ["BACKUP_IDENTITY_FILE"] = str(place)
    return Folder(BACKUPS)


def _last(folder: Folder) -> datetime:
    """Return when the newest backup began."""
    names = folder.names()
    began = datetime.strptime(names[-1], NAME) if names else datetime.min  # noqa: DTZ007, DTZ901
    return began.replace(tzinfo=UTC)
