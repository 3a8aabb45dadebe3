"""Runs the commands of `./taskw` on systems of private processes, each in its own folder."""

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from deploy.installation import ROOT
from deploy.local.engine import Runtime, choose_runtime
from deploy.servers.processes import Birth, Record, recorded

private_only = pytest.mark.skipif(
    choose_runtime().runtime is not Runtime.LOCAL or "TEST_POSTGRES_URL" in os.environ,
    reason="servers of this run are not private ones",
)


@contextmanager
def own_place() -> Iterator[Path]:
    """Yield a folder for a system. What runs in it is stopped and deleted afterwards."""
    with tempfile.TemporaryDirectory(prefix="mercado-veiculo-up-") as name:
        Path(name).chmod(0o711)
        folder = Path(name) / "local"
        try:
            yield folder
        finally:
            code, output = run(folder, "clean", "--yes")
            assert code == 0, output


def command(folder: Path, *arguments: str, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "deploy.local", *arguments],
        cwd=ROOT,
        env={**os.environ, "LOCAL_FOLDER": str(folder), "RUNTIME": "local", **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def run(folder: Path, *arguments: str, **environment: str) -> tuple[int, str]:
    """Run a command, and return its exit code and output."""
    with command(folder, *arguments, **environment) as process:
        output, _ = process.communicate(timeout=200)
    return process.returncode, output


def records(folder: Path) -> dict[str, Record]:
    """Return the records of the processes that run there, by name."""
    return {record.name: record for record in recorded(folder) if record.process()}


def kill(record: Record) -> None:
    os.killpg(record.pid, signal.SIGKILL)
    while Birth.of(record.pid):
        pass
