"""The daily job makes a backup, copies it to another place, and deletes expired ones."""

import asyncio
import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from dotenv import dotenv_values

from deploy.backup.backing_up import back_up
from deploy.backup.cluster import Server, Tell
from deploy.backup.copies import Copies
from deploy.backup.files import drop_log_before
from deploy.backup.sets import BackupSet, Folder


@dataclass(frozen=True)
class Source:
    """This is backed up: a server, the erasure ledger, the passwords and keys."""

    server: Server
    ledger: Path
    keys: Path


def run(folder: Folder, source: Source, tell: Callable[[str], None], progress: Tell) -> BackupSet:
    """Run the job, or raise BackupFailed. The next run copies a backup whose copy failed."""
    copies = Copies.named()  # wrong settings are reported before the work
    with folder.exclusive():
        made = asyncio.run(back_up(folder, source.server, source.ledger, source.keys, progress))
        took = (made.finished_at - made.started_at).total_seconds()
        size = sum((folder.path / path).stat().st_size for path in made.files)
        tell(f"backup {made.name}: {size:,} bytes in {took:.1f} s, in {folder.path}")
        now = datetime.now(UTC)
        for name in folder.drop_expired(now):
            tell(f"deleted {name}: older than 30 days")
        if (log := log_folder()) is not None:
            drop_log_before(log, folder.read(folder.names()[0]).log)
        if copies is not None:
            for name in copies.send(folder, tell):
                tell(f"copied {name} to {copies.url}")
            for name in copies.drop_expired(now):
                tell(f"deleted {name} from {copies.url}: older than 30 days")
    return made


def read_settings(file: Path) -> None:
    """Add to the environment the backup settings of a file such as `.env` that the environment
    lacks, because a scheduled job has few variables.
    """
    for name, value in dotenv_values(file).items():
        if value and name.startswith(("BACKUP_", "AWS_")):
            os.environ.setdefault(name, value)


def log_folder() -> Path | None:
    """Return BACKUP_LOG, where the server archives its write-ahead log, if it does."""
    named = os.environ.get("BACKUP_LOG")
    return Path(named).absolute() if named else None
