"""Makes a folder in which the `gcp:` tasks run on fakes of gcloud, terraform and docker."""

import json
import subprocess
import sys
from collections.abc import Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from deploy.gcp.__main__ import app, main
from tests.documents.sections import ROOT
from tests.unit.gcp import programs


class Finished(NamedTuple):
    code: int
    output: str
    errors: str


@dataclass
class Clouds:
    """`Clouds` are a folder in which the tasks run, with the three programs as their whole PATH."""

    folder: Path

    def make(self, services: list[str]) -> None:
        (self.folder / "bin").mkdir(parents=True)
        text = f"#!{sys.executable} -IS\n{Path(programs.__file__).read_text()}"
        for name in ("gcloud", "terraform", "docker"):
            program = self.folder / "bin" / name
            program.write_text(text)
            program.chmod(0o755)
        empty = {"buckets": [], "secrets": {}, "workspace": "default", "outputs": {}}
        self.write({**empty, "resources": [], "services": services})

    def write(self, state: dict[str, Any]) -> None:
        (self.folder / "state").write_text(json.dumps(state))

    @property
    def state(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.folder / "state").read_text())
        return found

    @property
    def calls(self) -> list[str]:
        """Return the calls since they were last cleared."""
        return [line for line, _ in self._noted()]

    def given_to(self, program: str) -> list[str]:
        """Return the standard input of the calls that begin with `program`."""
        return [given for line, given in self._noted() if line.startswith(program)]

    def forget_calls(self) -> None:
        (self.folder / "calls").unlink(missing_ok=True)

    def refuse(self, pattern: str, how: str = "refuse") -> None:
        """Let calls that match fail, or interrupt the task. An empty pattern matches none."""
        file = self.folder / how
        file.write_text(pattern)
        if not pattern:
            file.unlink()

    def remove(self, tool: str) -> None:
        (self.folder / "bin" / tool).unlink()

    def run(self, *words: str, answer: str = "") -> Finished:
        """Run a task in this process, which has imported everything, with fake programs."""
        output, errors = StringIO(), StringIO()
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(self.folder)
            for name, value in self._environment.items():
                patch.setenv(name, value)
            patch.setattr(sys, "stdin", StringIO(answer))
            patch.setattr(subprocess, "run", self._called)
            with redirect_stdout(output), redirect_stderr(errors), pytest.raises(SystemExit) as end:
                main(lambda: app(list(words)))
        return Finished(int(end.value.code or 0), output.getvalue(), errors.getvalue())

    def run_apart(self, *words: str) -> Finished:
        """Run a task in a process of its own, which can be interrupted and starts the programs."""
        done = subprocess.run(
            [sys.executable, "-m", "deploy.gcp", *words],
            cwd=self.folder,
            env={**self._environment, "PYTHONPATH": str(ROOT)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        return Finished(done.returncode, done.stdout, done.stderr)

    def _called(self, line: Sequence[str], **options: Any) -> subprocess.CompletedProcess[str]:
        """Answer in place of `subprocess.run`, because starting a program takes longer."""
        try:
            told = programs.answer(self.folder, line[0], list(line[1:]), options.get("input", ""))
        except SystemExit as refused:
            return subprocess.CompletedProcess(line, 1, "", str(refused))
        return subprocess.CompletedProcess(line, 0, told, "")

    @property
    def _environment(self) -> dict[str, str]:
        return {
            "PATH": str(self.folder / "bin"),
            "BROKER_PASSWORD": "of-the-broker",
            "HOME": str(self.folder),
        }

    def _noted(self) -> list[tuple[str, str]]:
        file = self.folder / "calls"
        lines = file.read_text().splitlines() if file.exists() else []
        return [(found[0], found[1]) for found in map(json.loads, lines)]
