"""A backup has databases, erasure ledger and keys, each in a file of its own."""

import io
import shutil
from datetime import UTC, datetime
from pathlib import Path

from deploy.backup.cluster import Server, Tell, take
from deploy.backup.failure import BackupFailed
from deploy.backup.sealed import checksum, seal
from deploy.backup.sets import BackupSet, Folder, new_name, path_of


async def back_up(
    folder: Folder, server: Server, ledger: Path, keys: Path, tell: Tell
) -> BackupSet:
    """Make a backup inside `folder.exclusive()`. There is no ledger before the first erasure. A
    file of keys that ends in `.age` is encrypted already.

    Raises BackupFailed; nothing half-done stays then.
    """
    recipient = folder.recipient()
    name = new_name(datetime.now(UTC))
    if name in folder.names():
        raise BackupFailed(f"backup {name} was made within this second")
    paths = {kind: path_of(kind, name) for kind in ("databases", "ledger", "keys")}
    drafts: list[Path] = []

    def draft(kind: str) -> Path:
        drafts.append((folder.path / paths[kind]).with_suffix(".draft"))
        return drafts[-1]

    try:
        taken = await take(server, draft("databases"), recipient, tell)
        files = {paths["databases"]: taken.checksum}
        # The ledger is copied after the databases, so that every erasure in them is in it.
        for kind, place in (("ledger", ledger), ("keys", keys)):
            if kind == "keys" or place.exists():
                if place.suffix == ".age":
                    shutil.copyfile(place, draft(kind))
                    files[paths[kind]] = checksum(place)
                else:
                    content = io.BytesIO(place.read_bytes())
                    files[paths[kind]] = seal(content, draft(kind), recipient)
        for path in paths.values():
            if path in files:
                (folder.path / path).with_suffix(".draft").replace(folder.path / path)
    except OSError as error:
        place = error.filename or folder.path
        raise BackupFailed(f"{place}: {error.strerror or error}") from None
    finally:
        for each in drafts:
            each.unlink(missing_ok=True)
    made = BackupSet(name, taken.started_at, taken.finished_at, taken.postgres, taken.log, files)
    folder.write(made)
    return made
