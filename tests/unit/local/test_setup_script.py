"""Setting up behind a company's certificate authority."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.local.state import ROOT

SCRIPTS = (ROOT / "deploy" / "local" / "setup.sh", ROOT / "Taskfile.yml")
UV = Path(sys.executable).with_name("uv")


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_uv_trusts_whom_the_system_trusts(script: Path) -> None:
    """uv brings a list of authorities of its own, in which no company's is."""
    calls = re.findall(r"\.venv/bin/uv (pip \w+ .*)", script.read_text())
    assert calls
    assert [call for call in calls if "--system-certs" not in call] == []


@pytest.mark.parametrize("command", ["sync", "compile"])
def test_the_uv_of_the_lock_knows_that_option(command: str) -> None:
    known = subprocess.run(
        [UV, "pip", command, "--help"], capture_output=True, text=True, check=True
    )
    assert "--system-certs" in known.stdout
