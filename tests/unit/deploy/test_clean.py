"""`clean` names what it deletes and asks first. After `down` no record says that containers ran,
but their volumes remain.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.installation import ROOT
from deploy.local.state import CONTAINER_PASSWORDS

DOCKER = """#!/bin/sh
here=${0%/*}
echo "$*" >> "$here/told"
case "$*" in
  *" config "*) echo '{"name": "of-this-folder"}' ;;
  "volume ls "*"=of-this-folder") echo of-this-folder_db ;;
  *" down "*) [ ! -e "$here/fails" ] || { echo no such engine >&2; exit 1; } ;;
esac
"""


@pytest.fixture
def docker(tmp_path: Path) -> Path:
    """Make a `docker` command that notes its arguments, and fails at `down` if `fails` exists."""
    command = tmp_path / "docker"
    command.write_text(DOCKER)
    command.chmod(0o755)
    (tmp_path / "told").touch()
    return tmp_path


def clean(docker: Path, *options: str, runtime: str = "", answer: str = "") -> tuple[int, str]:
    """Run `clean`, and return its exit code and output."""
    path = f"{docker}:/usr/bin:/bin"
    environment = {"PATH": path, "LOCAL_FOLDER": str(docker / "local"), "RUNTIME": runtime}
    run = subprocess.run(
        [sys.executable, "-m", "deploy.local", "clean", *options],
        cwd=ROOT,
        env=os.environ | environment,
        input=answer,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return run.returncode, run.stdout


def volumes_are_deleted(docker: Path) -> bool:
    return "down --volumes" in (docker / "told").read_text()


def test_data_of_containers_stopped_before_is_deleted(docker: Path) -> None:
    code, output = clean(docker, "--yes")

    assert code == 0, output
    assert volumes_are_deleted(docker)


def test_it_names_what_it_will_delete_and_deletes_after_a_yes(docker: Path) -> None:
    code, output = clean(docker, answer="y\n")

    assert code == 0, output
    assert f"folder {docker}/local\n" in output
    assert "volume of-this-folder_db\n" in output
    assert volumes_are_deleted(docker)
    assert not (docker / "local").exists()


@pytest.mark.parametrize("answer", ["", "\n", "no\n", "maybe\n"])
def test_without_a_yes_nothing_is_deleted_or_stopped(docker: Path, answer: str) -> None:
    (docker / "local").mkdir()
    (docker / "local" / "secrets.json").touch()

    code, output = clean(docker, answer=answer)

    assert code == 1
    assert output.endswith("error: nothing was deleted (--yes deletes without a question)\n")
    assert " down " not in (docker / "told").read_text()
    assert (docker / "local" / "secrets.json").exists()


def test_data_of_containers_is_left_alone_by_who_never_used_any(docker: Path) -> None:
    code, output = clean(docker, "--yes", runtime="local")

    assert code == 0, output
    assert not volumes_are_deleted(docker)


def test_passwords_stay_when_the_data_of_containers_cannot_be_deleted(docker: Path) -> None:
    passwords = docker / "local" / CONTAINER_PASSWORDS
    passwords.parent.mkdir()
    passwords.touch()
    (docker / "fails").touch()

    code, output = clean(docker, "--yes", runtime="local")

    assert (code, output.splitlines()[-1]) == (
        1,
        "error: the data of the containers was not deleted: no such engine",
    )
    assert volumes_are_deleted(docker)
    assert passwords.exists()
