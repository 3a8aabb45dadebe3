"""Setup works behind a company's certificate authority, and can be repeated."""

import hashlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.installation import ROOT

SCRIPTS = (ROOT / "deploy" / "local" / "setup.sh", ROOT / "Taskfile.yml")
UV = Path(sys.executable).with_name("uv")


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_uv_trusts_whom_the_system_trusts(script: Path) -> None:
    """uv has its own list of authorities, which contains no company's."""
    calls = re.findall(r"\.venv/bin/uv (pip \w+ .*)", script.read_text())
    assert calls
    assert [call for call in calls if "--system-certs" not in call] == []


@pytest.mark.parametrize("command", ["sync", "compile"])
def test_the_uv_of_the_lock_knows_that_option(command: str) -> None:
    known = subprocess.run(
        [UV, "pip", command, "--help"], capture_output=True, text=True, check=True
    )
    assert "--system-certs" in known.stdout


def test_another_python_of_the_path_leaves_what_was_made_alone(tmp_path: Path) -> None:
    script = tmp_path / "deploy" / "local" / "setup.sh"
    made = tmp_path / ".venv" / "bin"
    for folder in (script.parent, made, tmp_path / "bin"):
        folder.mkdir(parents=True)
    shutil.copy(SCRIPTS[0], script)
    (tmp_path / "requirements.txt").write_text("uv==1\n")
    for python, version in ((made / "python", "3.13.1"), (tmp_path / "bin" / "python3", "3.12.9")):
        python.write_text(f'#!/bin/sh\n[ "$1" = -c ] || echo "Python {version}"\n')
        python.chmod(0o755)
    (made / "task").touch(mode=0o755)
    mark = hashlib.sha256(b"Python 3.13.1\nuv==1\n").hexdigest()
    (tmp_path / ".venv" / "made-from").write_text(f"{mark}  -\n")

    done = subprocess.run(
        ["sh", script],
        env={"PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.returncode, done.stdout + done.stderr) == (0, "")
