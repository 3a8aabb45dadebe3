"""Backups are copied to a real S3-compatible store."""

import io
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest

from deploy.backup import sealed
from deploy.backup.copies import ONCE, Copies
from deploy.backup.failure import BackupFailed
from deploy.backup.sets import BackupSet, Folder, new_name, path_of
from tests.fixtures.object_store import ObjectStore, running_object_store

pytestmark = [pytest.mark.long, pytest.mark.slow]
BUCKET = "market-backups"
NOW = datetime(2026, 11, 27, 12, 0, tzinfo=UTC)


@pytest.fixture(scope="module")
def store() -> Iterator[ObjectStore]:
    with running_object_store() as store:
        client(store).create_bucket(Bucket=BUCKET)
        yield store


def client(store: ObjectStore) -> Any:
    return boto3.client(
        "s3",
        endpoint_url=store.endpoint,
        aws_access_key_id=store.key_id,
        aws_secret_access_key=store.secret,
        config=ONCE,
    )


@pytest.fixture
def copies(store: ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Copies:
    """Return copies in a place of the store that no other test uses."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", store.key_id)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", store.secret)
    return Copies(f"s3://{BUCKET}/{tmp_path.name}", store.endpoint)


def nothing(_: str) -> None:
    pass


def with_backup(folder: Folder, at: datetime = NOW) -> BackupSet:
    """Write a backup as `back_up` does, with a few bytes of content."""
    name, files = new_name(at), {}
    with folder.exclusive():
        for kind in ("databases", "ledger", "keys"):
            path = path_of(kind, name)
            content = io.BytesIO(f"{kind} of {name}".encode())
            files[path] = sealed.seal(content, folder.path / path, folder.recipient())
        made = BackupSet(name, at, at, 18, "0" * 24, files)
        folder.write(made)
    return made


def keys_in(store: ObjectStore, prefix: str) -> set[str]:
    answer = client(store).list_objects_v2(Bucket=BUCKET, Prefix=prefix)
    return {each["Key"].removeprefix(prefix) for each in answer.get("Contents", ())}


def test_a_backup_comes_back_from_the_store_alone(copies: Copies, tmp_path: Path) -> None:
    here, elsewhere = Folder(tmp_path / "here"), Folder(tmp_path / "elsewhere")
    made = with_backup(here)

    assert copies.send(here, nothing) == [made.name]
    assert copies.send(here, nothing) == []

    assert copies.names() == [made.name]
    with elsewhere.exclusive():
        copies.fetch(elsewhere, made.name, nothing)
    assert elsewhere.read(made.name) == made
    elsewhere.check(made)  # no keys are there or needed
    place = elsewhere.path / path_of("databases", made.name)
    with sealed.opened(place, here.identity()) as stream:
        assert stream.read() == f"databases of {made.name}".encode()


def test_the_key_of_a_backup_is_never_in_the_store(
    copies: Copies, store: ObjectStore, tmp_path: Path
) -> None:
    made = with_backup(Folder(tmp_path / "here"))

    copies.send(Folder(tmp_path / "here"), nothing)

    assert keys_in(store, f"{tmp_path.name}/") == {
        path_of("databases", made.name),
        path_of("ledger", made.name),
        made.description,
    }


def test_copies_older_than_thirty_days_go_but_never_the_newest(
    copies: Copies, store: ObjectStore, tmp_path: Path
) -> None:
    folder = Folder(tmp_path / "here")
    old = with_backup(folder, NOW - timedelta(days=31))
    copies.send(folder, nothing)
    assert copies.drop_expired(NOW) == []
    new = with_backup(folder)
    copies.send(folder, nothing)

    assert copies.drop_expired(NOW) == [old.name]

    assert copies.names() == [new.name]
    assert not any(old.name in key for key in keys_in(store, f"{tmp_path.name}/"))


def test_an_interrupted_copy_does_not_count_and_is_made_again(
    copies: Copies, store: ObjectStore, tmp_path: Path
) -> None:
    folder = Folder(tmp_path / "here")
    made = with_backup(folder)
    copies.send(folder, nothing)
    client(store).delete_object(Bucket=BUCKET, Key=f"{tmp_path.name}/{made.description}")

    assert copies.names() == []
    with pytest.raises(BackupFailed, match=f"there is no backup {made.name} in s3://"):
        copies.fetch(Folder(tmp_path / "elsewhere"), made.name, nothing)
    assert copies.send(folder, nothing) == [made.name]


def test_the_ledger_of_a_later_backup_comes_with_an_older_one(
    copies: Copies, tmp_path: Path
) -> None:
    folder, elsewhere = Folder(tmp_path / "here"), Folder(tmp_path / "elsewhere")
    old, new = with_backup(folder, NOW - timedelta(days=1)), with_backup(folder)
    copies.send(folder, nothing)

    with elsewhere.exclusive():
        copies.fetch(elsewhere, old.name, nothing)

    assert (elsewhere.path / path_of("ledger", new.name)).exists()
    assert elsewhere.names() == [old.name]


@pytest.mark.parametrize(
    ("url", "secret", "words"),
    [
        (f"s3://{BUCKET}/x", "wrong", "SignatureDoesNotMatch"),
        ("s3://no-such-bucket/x", None, "NoSuchBucket"),
        ("https://example.com", None, "it has to be s3://BUCKET/PREFIX"),
    ],
)
def test_a_store_that_refuses_is_one_line(
    copies: Copies,
    store: ObjectStore,
    monkeypatch: pytest.MonkeyPatch,
    url: str,
    secret: str | None,
    words: str,
) -> None:
    if secret:
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", secret)
    with pytest.raises(BackupFailed, match=words) as refused:
        Copies(url, store.endpoint).names()
    assert "\n" not in str(refused.value)


def test_a_store_that_is_away_is_one_line(copies: Copies) -> None:
    with pytest.raises(BackupFailed, match="Could not connect"):
        Copies(copies.url, "http://127.0.0.1:1").names()
