"""Fakes of gcloud, terraform and docker, which record their calls and answer from a file."""

import json
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from deploy.gcp.__main__ import app, main
from tests.documents.sections import ROOT

PROGRAM = """#!{python}
import json, os, re, signal, sys
from pathlib import Path

here = Path(__file__).parents[1]
name, words = Path(sys.argv[0]).name, sys.argv[1:]
line = " ".join([name, *words])
given = sys.stdin.read() if "--data-file=-" in words else ""
for word in words:
    if word.startswith("--flags-file="):
        given = Path(word.partition("=")[2]).read_text()
with (here / "calls").open("a") as calls:
    calls.write(json.dumps([line, given]) + "\\n")
if (here / "refuse").exists() and re.search((here / "refuse").read_text(), line):
    sys.exit("ERROR: (" + name + ") PERMISSION_DENIED: somebody has to allow it.\\nand more")
if (here / "interrupt").exists() and re.search((here / "interrupt").read_text(), line):
    os.kill(os.getppid(), signal.SIGINT)
    sys.exit(130)
file = here / "state"
state = json.loads(file.read_text())
answer = ""
rest = [each for each in words if not each.startswith("-")]
options = dict(each.lstrip("-").partition("=")[::2] for each in words if each.startswith("-"))
variables = dict(each[5:].partition("=")[::2] for each in words if each.startswith("-var="))
match [name, *rest]:
    case ["gcloud", "auth", "print-access-token"]:
        answer = "a-token"
    case ["gcloud", "projects", "describe", project]:
        answer = project
    case ["gcloud", "storage", "buckets", "list"]:
        wanted = options["filter"].partition("=")[2]
        answer = wanted if wanted in state["buckets"] else ""
    case ["gcloud", "storage", "buckets", "create", url]:
        state["buckets"].append(url.removeprefix("gs://"))
    case ["gcloud", "secrets", "list"]:
        wanted = options["filter"].removeprefix("name~/").rstrip("$")
        answer = wanted if wanted in state["secrets"] else ""
    case ["gcloud", "secrets", "create", secret]:
        state["secrets"][secret] = []
    case ["gcloud", "secrets", "versions", "list", secret]:
        answer = "\\n".join(map(str, range(len(state["secrets"][secret]))))
    case ["gcloud", "secrets", "versions", "access", "latest"]:
        versions = state["secrets"].get(options["secret"])
        if not versions:
            sys.exit("ERROR: NOT_FOUND: no version")
        answer = versions[-1]
    case ["gcloud", "secrets", "versions", "add", secret]:
        state["secrets"].setdefault(secret, []).append(given)
    case ["gcloud", "artifacts", "docker", "images", "describe", _]:
        answer = "sha256:" + "1" * 64
    case ["terraform", "workspace", "show"]:
        answer = state["workspace"]
    case ["terraform", "workspace", "select", stage]:
        state["workspace"] = stage
    case ["terraform", "output"]:
        answer = json.dumps({{key: {{"value": value}} for key, value in state["outputs"].items()}})
    case ["terraform", "state", "list"]:
        answer = "\\n".join(state["resources"])
    case ["terraform", "state", "rm", resource]:
        state["resources"].remove(resource)
    case ["terraform", "import", resource, _]:
        state["resources"].append(resource)
    case ["terraform", "apply"]:
        if "google_storage_bucket.ledger" not in state["resources"]:
            bucket = variables["project"] + "-" + state["workspace"] + "-erasures"
            if bucket in state["buckets"]:
                sys.exit("Error: the bucket is there already")
            state["buckets"].append(bucket)
            state["resources"].append("google_storage_bucket.ledger")
        parts = json.loads(variables["parts"])
        database = {{"instance": "mercado", "host": "10.0.0.3", "authority": "-CA-"}}
        state["outputs"] = {{
            "parts": parts,
            "image": variables["image"],
            "job_image": variables["job_image"],
            "database": database if "sql" in parts else None,
            "repository": "here-docker.pkg.dev/a-project/mercado",
            "public": ["portal", "orders"],
            "urls": {{each: "https://" + each + ".example" for each in {services!r}}},
        }}
    case ["terraform", "destroy"]:
        state["outputs"], state["resources"] = {{}}, []
file.write_text(json.dumps(state))
print(answer)
"""


class Finished(NamedTuple):
    code: int
    output: str
    errors: str


@dataclass
class Clouds:
    """A folder in which the tasks run, with the three programs as its whole PATH."""

    folder: Path

    def make(self, services: list[str]) -> None:
        (self.folder / "bin").mkdir(parents=True)
        text = PROGRAM.format(python=sys.executable, services=services)
        for name in ("gcloud", "terraform", "docker"):
            program = self.folder / "bin" / name
            program.write_text(text)
            program.chmod(0o755)
        empty = {"buckets": [], "secrets": {}, "workspace": "default", "outputs": {}}
        self.write({**empty, "resources": []})

    def write(self, state: dict[str, Any]) -> None:
        (self.folder / "state").write_text(json.dumps(state))

    @property
    def state(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.folder / "state").read_text())
        return found

    @property
    def calls(self) -> list[str]:
        """The calls since they were last cleared."""
        return [line for line, _ in self._noted()]

    def given_to(self, program: str) -> list[str]:
        """The standard input of the calls that begin so."""
        return [given for line, given in self._noted() if line.startswith(program)]

    def forget_calls(self) -> None:
        (self.folder / "calls").unlink(missing_ok=True)

    def refuse(self, pattern: str, how: str = "refuse") -> None:
        """Calls that match fail from now on, or interrupt the task; none with an empty pattern."""
        file = self.folder / how
        file.write_text(pattern)
        if not pattern:
            file.unlink()

    def remove(self, tool: str) -> None:
        (self.folder / "bin" / tool).unlink()

    def run(self, *words: str, answer: str = "") -> Finished:
        """In this process, which has imported everything."""
        output, errors = StringIO(), StringIO()
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(self.folder)
            for name, value in self._environment.items():
                patch.setenv(name, value)
            patch.setattr(sys, "stdin", StringIO(answer))
            with redirect_stdout(output), redirect_stderr(errors), pytest.raises(SystemExit) as end:
                main(lambda: app(list(words)))
        return Finished(int(end.value.code or 0), output.getvalue(), errors.getvalue())

    def run_apart(self, *words: str) -> Finished:
        """In a process of its own, which can be interrupted."""
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
