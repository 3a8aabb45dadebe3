"""`clean` after `down`: nothing says any more that containers ran, their volumes are there."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.local.state import CONTAINER_PASSWORDS, ROOT


@pytest.fixture
def docker(tmp_path: Path) -> Path:
    """A `docker` command that notes what it is told, and fails at `down` if `fails` exists."""
    command = tmp_path / "docker"
    command.write_text(
        '#!/bin/sh\nhere=${0%/*}\necho "$*" >> "$here/told"\n'
        'case "$*" in *" down "*) [ ! -e "$here/fails" ] ;; esac\n'
    )
    command.chmod(0o755)
    (tmp_path / "told").touch()
    return tmp_path


def clean(docker: Path, runtime: str = "") -> int:
    environment = {"PATH": str(docker), "LOCAL_FOLDER": str(docker / "local"), "RUNTIME": runtime}
    command = [sys.executable, "-m", "deploy.local", "clean"]
    run = subprocess.run(command, cwd=ROOT, env=os.environ | environment, check=False)
    return run.returncode


def volumes_are_deleted(docker: Path) -> bool:
    return "down --volumes" in (docker / "told").read_text()


def test_data_of_containers_stopped_before_is_deleted(docker: Path) -> None:
    assert clean(docker) == 0
    assert volumes_are_deleted(docker)


def test_data_of_containers_is_left_alone_by_who_never_used_any(docker: Path) -> None:
    assert clean(docker, "local") == 0
    assert not volumes_are_deleted(docker)


def test_passwords_stay_when_the_data_of_containers_cannot_be_deleted(docker: Path) -> None:
    passwords = docker / "local" / CONTAINER_PASSWORDS
    passwords.parent.mkdir()
    passwords.touch()
    (docker / "fails").touch()

    assert clean(docker, "local") == 1
    assert volumes_are_deleted(docker)
    assert passwords.exists()
