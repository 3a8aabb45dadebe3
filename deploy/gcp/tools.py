"""gcloud, terraform and docker work on the cloud. Each of their refusals becomes one line."""

import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

WHERE = {
    "gcloud": "https://cloud.google.com/sdk/docs/install",
    "terraform": "https://developer.hashicorp.com/terraform/install",
    "docker": "https://docs.docker.com/engine/install",
}


class Refused(Exception):
    """The task is refused. The text is the line that says why and what to do."""


def check_tools(*names: str) -> None:
    """Raise Refused for the first tool that is missing."""
    for name in names:
        if shutil.which(name) is None:
            raise Refused(f"{name} is not in the PATH: {WHERE[name]}")


def ask(*line: str, given: str = "", environment: Mapping[str, str] | None = None) -> str:
    """Return what the program prints; it reads `given`. Raises Refused with its reason."""
    done = subprocess.run(
        line,
        input=given,
        env={**os.environ, **(environment or {})},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise Refused(_reason(line[0], done.returncode, done.stderr))
    return done.stdout.strip()


def show(*line: str, environment: Mapping[str, str] | None = None) -> None:
    """Run the program with its output shown to the user, or raise Refused."""
    done = subprocess.run(
        line, env={**os.environ, **(environment or {})}, stdin=subprocess.DEVNULL, check=False
    )
    if done.returncode:
        raise Refused(f"{line[0]} ended with exit code {done.returncode}, see above")


@dataclass
class Steps:
    """These are the steps of one task. `again` is the command that continues a stopped task."""

    again: str
    done: list[str] = field(default_factory=list)

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Run a step. Where it fails or is interrupted, raise Refused with what was done before."""
        print(f"── {name}", flush=True)
        try:
            yield
        except Refused as error:
            raise Refused(f"{name}: {str(error).rstrip('.')}. {self._so_far}") from None
        except KeyboardInterrupt:
            raise Refused(f"{name}: interrupted. {self._so_far}") from None
        self.done.append(name)

    @property
    def _so_far(self) -> str:
        done = f"Done before: {', '.join(self.done)}" if self.done else "Nothing was done before"
        return f"{done}. To go on: {self.again}"


def _reason(name: str, code: int, errors: str) -> str:
    lines = [each.strip() for each in errors.splitlines() if each.strip()]
    told = [each for each in lines if each.startswith(("ERROR:", "Error:"))]
    return (told or lines or [f"{name} ended with exit code {code}"])[0]
