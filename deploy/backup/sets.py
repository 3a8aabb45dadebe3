"""All backups are in one folder.

    databases/NAME.tar.gz.age   the files of all databases
    databases/NAME.json         the names of these files, with checksums; written last
    ledger/NAME.jsonl.age       who has been erased
    keys/NAME.json.age          passwords and data keys
    identity.txt                what decrypts all of these, unless it is kept elsewhere

The keys never go where the data goes: `keys` and `identity.txt` stay in this folder, and a person
keeps a copy of them elsewhere. The NAME is the UTC time at which a backup began.
"""

import fcntl
import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from deploy.backup import sealed
from deploy.backup.failure import BackupFailed

KEPT = timedelta(days=30)
NAME = "%Y%m%dT%H%M%SZ"
IS_NAME = re.compile(r"\d{8}T\d{6}Z")
KINDS = {"databases": ".tar.gz.age", "ledger": ".jsonl.age", "keys": ".json.age"}
MOVES_AWAY = ("databases", "ledger")
"""Copies in another place have these files."""


@dataclass(frozen=True)
class BackupSet:
    """This is one backup. The times are the database server's: all databases are as they were at a
    moment between the two. `log` is the first file of the write-ahead log that continues from
    there. `files` has the SHA-256 of each file by its path in the folder.
    """

    name: str
    started_at: datetime
    finished_at: datetime
    postgres: int
    log: str
    files: Mapping[str, str]

    @classmethod
    def of(cls, text: str) -> "BackupSet":
        """Read a description, or raise ValueError."""
        try:
            found = json.loads(text)
            times = {
                key: datetime.fromisoformat(found[key]) for key in ("started_at", "finished_at")
            }
            return cls(**{**found, **times})
        except (TypeError, KeyError) as error:
            raise ValueError(f"no description of a backup: {error}") from None

    def as_text(self) -> str:
        return json.dumps(asdict(self), indent=2, default=datetime.isoformat) + "\n"

    @property
    def description(self) -> str:
        return description(self.name)


def description(name: str) -> str:
    return f"databases/{name}.json"


def path_of(kind: str, name: str) -> str:
    return f"{kind}/{name}{KINDS[kind]}"


def expired(names: Iterator[str] | list[str], now: datetime) -> list[str]:
    """Return the backups older than KEPT. The newest is never among them."""
    before = f"{now - KEPT:{NAME}}"
    return [name for name in sorted(names)[:-1] if name < before]


class Folder:
    """Backups are written to this folder."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """Let one process at a time change the folder, and delete the half-done files of a killed
        one.

        Raises BackupFailed when another process is at work.
        """
        for kind in KINDS:
            (self.path / kind).mkdir(mode=0o700, parents=True, exist_ok=True)
        self.path.chmod(0o700)
        with (self.path / "lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise BackupFailed("another backup is at work: wait for it") from None
            for kind in KINDS:
                for draft in (self.path / kind).glob("*.draft"):
                    draft.unlink()
            yield

    def names(self) -> list[str]:
        """Return the names of the complete backups, the oldest first."""
        return sorted(found.stem for found in (self.path / "databases").glob("*.json"))

    def read(self, name: str) -> BackupSet:
        """Read the description of a backup, or raise BackupFailed."""
        place = self.path / description(name)
        if not IS_NAME.fullmatch(name):
            raise BackupFailed(
                f"{name!r} names no backup: ./taskw backup --list says which there are"
            )
        try:
            return BackupSet.of(place.read_text())
        except FileNotFoundError:
            raise BackupFailed(f"there is no backup {name} in {self.path}") from None
        except ValueError as error:
            raise BackupFailed(f"backup {name}: {error}") from None

    def write(self, made: BackupSet) -> None:
        """Write the description, which completes the backup."""
        place = self.path / made.description
        draft = place.with_suffix(".draft")
        with draft.open("w") as file:
            file.write(made.as_text())
            file.flush()
            os.fsync(file.fileno())
        draft.replace(place)

    def check(self, found: BackupSet) -> None:
        """Raise BackupFailed for a file that is missing or has changed."""
        for path, wanted in found.files.items():
            place = self.path / path
            if path.startswith(MOVES_AWAY) or place.exists():
                try:
                    now = sealed.checksum(place)
                except OSError as error:
                    raise BackupFailed(f"{place}: {error.strerror}") from None
                if now != wanted:
                    raise BackupFailed(f"{place} is damaged: its checksum is another one")

    def drop_expired(self, now: datetime) -> list[str]:
        """Delete the backups older than KEPT. Returns their names."""
        gone = expired(self.names(), now)
        for name in gone:
            (self.path / description(name)).unlink()  # first: without it the rest is no backup
        known = set(self.names())
        for kind, ending in KINDS.items():
            for file in (self.path / kind).glob(f"*{ending}"):
                if file.name.removesuffix(ending) not in known:
                    file.unlink()
        return gone

    def recipient(self) -> str:
        """Return the recipient of what is written: BACKUP_RECIPIENT, else the folder's own
        identity, which is made when there is none.
        """
        if named := os.environ.get("BACKUP_RECIPIENT"):
            return named
        place = self.path / "identity.txt"
        if not place.exists():
            draft = place.with_suffix(".draft")
            draft.unlink(missing_ok=True)
            draft.touch(mode=0o600)
            draft.write_text(sealed.new_identity() + "\n")
            draft.replace(place)
        return sealed.recipient_of(self.identity())

    def identity(self) -> str:
        """Return what BACKUP_IDENTITY_FILE holds, else the folder's own, or raise BackupFailed."""
        place = Path(os.environ.get("BACKUP_IDENTITY_FILE") or self.path / "identity.txt")
        try:
            lines = place.read_text().splitlines()
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "no text"
            raise BackupFailed(
                f"the identity that decrypts backups, {place}: {reason} "
                "(BACKUP_IDENTITY_FILE names another place)"
            ) from None
        keys = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
        if len(keys) != 1:
            raise BackupFailed(f"{place} does not hold one age identity")
        return keys[0]


def new_name(started_at: datetime) -> str:
    return f"{started_at.astimezone(UTC):{NAME}}"
