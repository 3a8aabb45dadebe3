"""A check shows that a backup can be restored: it restores the backup into a place of its own,
which is then deleted.
"""

import asyncio
import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from deploy.backup import files
from deploy.backup.failure import BackupFailed
from deploy.backup.restoring import Place, Tell, keys_of, merge_ledgers, replay_erasures
from deploy.backup.sets import BackupSet, Folder, path_of
from deploy.checker.invariants import check
from deploy.checker.report import Report
from deploy.checker.verify import databases
from deploy.installation import CHOREOGRAPHY, Installation
from deploy.passwords import Passwords
from deploy.services import SERVICES
from libs.messaging.saga.choreography import read

STILL_SECONDS = 5.0
"""A purchase without an event for this long before the backup began counts as at rest."""


@dataclass(frozen=True)
class Checked:
    """`erasures` is a line about the repeated erasures."""

    report: Report
    erasures: str


def restore_aside(folder: Folder, found: BackupSet, place: Place, tell: Tell) -> Checked:
    """Restore a backup into a server of its own, repeat the erasures of the ledgers, and check the
    invariants as of the backup's moment. The system and its broker are not touched.

    Raises BackupFailed where the backup cannot be restored.
    """
    identity = folder.identity()
    folder.check(found)
    files.require(found.postgres)
    with _room() as room:
        tell("unpacking")
        data = room / "data"
        files.unpack(folder.path / path_of("databases", found.name), identity, data)
        keys = room / "keys.json"
        keys.touch(mode=0o600)
        theirs = keys_of(folder, found, identity)
        keys.write_text(place.keys.read_text() if theirs is None else json.dumps(theirs))
        if place.ledger.exists():
            shutil.copy2(place.ledger, room / place.ledger.name)
        tell("recovering")
        with files.serving(data) as sockets:
            restored = _installation(room, sockets, Passwords(keys))
            merge_ledgers(folder, identity, restored.ledger)
            erasures = "no erasures in the ledger"
            tell("checking")
            age = datetime.now(UTC) - found.started_at
            report = asyncio.run(
                check(
                    databases(restored),
                    read(CHOREOGRAPHY).participants,
                    grace_seconds=age.total_seconds() + STILL_SECONDS,
                    tell=tell,
                )
            )
            if restored.ledger.exists():
                erasures = replay_erasures(restored)
    return Checked(report, erasures)


@contextmanager
def _room() -> Iterator[Path]:
    """Make a folder that Postgres' user can enter, and delete it at the end."""
    room = Path(tempfile.mkdtemp(prefix="mercado-veiculo-check-"))
    room.chmod(0o711)
    try:
        yield room
    except OSError as error:
        raise BackupFailed(f"{error.filename}: {error.strerror}") from None
    finally:
        shutil.rmtree(room, ignore_errors=True)


def _installation(room: Path, sockets: Path, passwords: Passwords) -> Installation:
    """Return an installation without broker and services: their addresses lead nowhere."""
    nowhere = "127.0.0.1:1"
    return Installation(
        postgres="127.0.0.1:5432",
        rabbitmq=nowhere,
        management=nowhere,
        passwords=passwords,
        files=room,
        services={spec.name: f"http://{nowhere}" for spec in SERVICES},
        sockets=sockets,
    )
