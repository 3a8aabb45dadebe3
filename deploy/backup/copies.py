"""An S3-compatible store holds copies of the backups. It never holds the keys that decrypt them.

BACKUP_S3_URL is `s3://BUCKET/PREFIX`, and BACKUP_S3_ENDPOINT the store's address where it is not
Amazon's. Credentials come as boto3 finds them: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, a file,
or the machine's own role.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import boto3
from boto3.exceptions import Boto3Error
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from deploy.backup.failure import BackupFailed
from deploy.backup.sets import MOVES_AWAY, BackupSet, Folder, description, expired

ONCE = Config(
    connect_timeout=10,
    read_timeout=60,
    retries={"mode": "standard", "max_attempts": 3},
    # Other stores refuse the checksums that only Amazon's own store knows.
    request_checksum_calculation="when_required",
    response_checksum_validation="when_required",
)


class Copies:
    """Every method raises BackupFailed where the store cannot be used."""

    def __init__(self, url: str, endpoint: str | None) -> None:
        place = urlsplit(url)
        if place.scheme != "s3" or not place.netloc:
            raise BackupFailed(f"BACKUP_S3_URL is {url!r}: it has to be s3://BUCKET/PREFIX")
        self._bucket = place.netloc
        self._prefix = f"{folder}/" if (folder := place.path.strip("/")) else ""
        with _explained(url):
            session = boto3.Session()  # the shared one keeps the first credentials it finds
            self._client: Any = session.client("s3", endpoint_url=endpoint or None, config=ONCE)
        self.url = url

    @classmethod
    def named(cls) -> "Copies | None":
        """Return the store that the environment names."""
        url = os.environ.get("BACKUP_S3_URL")
        return cls(url, os.environ.get("BACKUP_S3_ENDPOINT")) if url else None

    def names(self) -> list[str]:
        """Return the names of the complete backups, the oldest first."""
        return _complete(self._paths())

    def send(self, folder: Folder, tell: Callable[[str], None]) -> list[str]:
        """Copy each backup of the folder that the store lacks. Returns their names."""
        there = self._paths()
        sent = [name for name in folder.names() if description(name) not in there]
        for name in sent:
            tell(f"copying {name}")
            # The description is sent last: a copy with a description is complete.
            files = folder.read(name).files
            for path in (*(each for each in files if _moves_away(each)), description(name)):
                with _explained(self.url):
                    self._client.upload_file(
                        str(folder.path / path), self._bucket, self._prefix + path
                    )
        return sent

    def fetch(self, folder: Folder, name: str, tell: Callable[[str], None]) -> None:
        """Bring a backup into the folder, and every ledger, because some hold later erasures."""
        there = self._paths()
        if description(name) not in there:
            raise BackupFailed(f"there is no backup {name} in {self.url}")
        for path in sorted(there):
            its_own = path.startswith("databases/") and Path(path).name.startswith(name)
            if path != description(name) and (its_own or path.startswith("ledger/")):
                self._download(folder, path, tell)
        self._download(folder, description(name), tell)

    def drop_expired(self, now: datetime) -> list[str]:
        """Delete expired backups. Returns the names of the deleted ones."""
        there = self._paths()
        gone = expired(_complete(there), now)
        for name in gone:
            doomed = [path for path in there if Path(path).name.startswith(f"{name}.")]
            # The description is deleted first: without it the rest is no backup.
            for path in (
                description(name),
                *(each for each in doomed if each != description(name)),
            ):
                with _explained(self.url):
                    self._client.delete_object(Bucket=self._bucket, Key=self._prefix + path)
        return gone

    def _download(self, folder: Folder, path: str, tell: Callable[[str], None]) -> None:
        target = folder.path / path
        if target.exists():
            return
        tell(f"fetching {path}")
        draft = target.with_suffix(".draft")
        with _explained(self.url):
            self._client.download_file(self._bucket, self._prefix + path, str(draft))
        draft.replace(target)

    def _paths(self) -> set[str]:
        with _explained(self.url):
            pages = self._client.get_paginator("list_objects_v2").paginate(
                Bucket=self._bucket, Prefix=self._prefix
            )
            return {
                each["Key"].removeprefix(self._prefix)
                for page in pages
                for each in page.get("Contents", ())
            }


def wanted(folder: Folder, name: str | None, tell: Callable[[str], None]) -> BackupSet:
    """Return a backup by its name, or the newest; it is fetched from the store where the folder
    lacks it. Raises BackupFailed where there is none.
    """
    here, copies = folder.names(), Copies.named()
    if name is None:
        known = sorted({*here, *(copies.names() if copies else [])})
        if not known:
            raise BackupFailed(f"there is no backup in {folder.path}")
        name = known[-1]
    if name not in here and copies is not None:
        copies.fetch(folder, name, tell)
    return folder.read(name)


def _moves_away(path: str) -> bool:
    return path.partition("/")[0] in MOVES_AWAY


def _complete(paths: set[str]) -> list[str]:
    return sorted(
        Path(path).stem
        for path in paths
        if path.startswith("databases/") and path.endswith(".json")
    )


@contextmanager
def _explained(url: str) -> Iterator[None]:
    try:
        yield
    except (BotoCoreError, ClientError, Boto3Error, OSError) as error:
        raise BackupFailed(f"{url}: {' '.join(str(error).split())}") from None
