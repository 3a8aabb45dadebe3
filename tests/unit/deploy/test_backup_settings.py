"""Backups that a timer makes use the settings of `.env`."""

import os
from pathlib import Path

import pytest

from deploy.backup import job
from deploy.backup.copies import Copies
from deploy.backup.failure import BackupFailed


@pytest.fixture
def env_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("BACKUP_S3_URL", "BACKUP_LOG", "BACKUP_RECIPIENT", "RUNTIME"):
        monkeypatch.setenv(name, "")  # restored afterwards, whatever the file says
        monkeypatch.delenv(name)
    return tmp_path / ".env"


def test_the_store_and_the_archive_are_found_in_the_file(env_file: Path) -> None:
    env_file.write_text("BACKUP_S3_URL=nonsense\nBACKUP_LOG=/srv/log\nRUNTIME=local\n")

    job.read_settings(env_file)

    assert job.log_folder() == Path("/srv/log")
    assert "RUNTIME" not in os.environ, "it is for other tools"
    with pytest.raises(BackupFailed, match="BACKUP_S3_URL is 'nonsense'"):
        Copies.named()


def test_the_environment_goes_before_the_file(
    env_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    env_file.write_text("BACKUP_RECIPIENT=of-the-file\nBACKUP_S3_URL=\n")
    monkeypatch.setenv("BACKUP_RECIPIENT", "of-the-environment")

    job.read_settings(env_file)

    assert os.environ["BACKUP_RECIPIENT"] == "of-the-environment"
    assert Copies.named() is None


def test_without_a_file_nothing_changes(env_file: Path) -> None:
    before = dict(os.environ)
    job.read_settings(env_file)
    assert dict(os.environ) == before
