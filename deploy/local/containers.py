"""The whole system runs as the containers of compose.yaml. `./taskw up` or `docker compose up`
starts it.

Each checkout has its own compose project, which compose.yaml names after its folder. Each
LOCAL_FOLDER outside of the checkout has another one, and so does the demo.
"""

import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import Any, TypeAlias

from deploy.installation import ROOT
from deploy.local.engine import Runtime
from deploy.local.state import State
from deploy.servers.ports import Ports
from deploy.servers.processes import StartFailed, StillRunning
from deploy.services import SERVICES

SECRETS = PurePosixPath("/var/lib/mercado-veiculo/secrets")
SERVERS = ("db", "rabbitmq")
QUIET = ("--progress", "quiet", "--profile", "*")
"""Commands that stop have these options: they also stop what a profile has started."""
POSTGRES_PORT, RABBITMQ_PORT, MANAGEMENT_PORT, PURCHASES_PORT = 5433, 5672, 15672, 8083

Bindings: TypeAlias = Sequence[Mapping[str, str]]
"""`docker inspect` prints the addresses of this machine for a container's port in this form."""


@dataclass(frozen=True)
class Container:
    """`ports` are those of this machine, by the container's own, in the order of compose.yaml.
    `settings` is compose's hash of compose.yaml and the environment at its creation.
    """

    id: str
    name: str
    image: str
    settings: str
    checkout: Path
    runs: bool
    ports: Mapping[int, Sequence[int]]

    @classmethod
    def described(cls, found: Mapping[str, Any]) -> "Container":
        """Read the output of `docker inspect`."""
        labels = found["Config"]["Labels"]
        wanted = found["HostConfig"]["PortBindings"] or {}
        published = found["NetworkSettings"]["Ports"]
        return cls(
            id=found["Id"],
            name=labels["com.docker.compose.service"],
            image=found["Image"],
            settings=labels["com.docker.compose.config-hash"],
            checkout=Path(labels["com.docker.compose.project.working_dir"]),
            runs=found["State"]["Running"] and not found["State"]["Restarting"],
            ports={
                int(port.partition("/")[0]): _known(places, published.get(port) or ())
                for port, places in wanted.items()
            },
        )


def _known(wanted: Bindings, published: Bindings) -> Sequence[int]:
    """Return the wanted ports; a 0, which means any, becomes the port that the container got."""
    fixed = [int(each["HostPort"] or 0) for each in wanted]
    got = iter(port for each in published if (port := int(each["HostPort"])) not in fixed)
    return [port or next(got, 0) for port in fixed]


@dataclass(frozen=True)
class Found:
    """These are the containers of a folder's project, by name. Jobs are among them: they end."""

    containers: Mapping[str, Container]

    @property
    def running(self) -> list[str]:
        return sorted(name for name in self._lasting if self.containers[name].runs)

    @property
    def lost(self) -> list[str]:
        """Return the containers that should run and do not."""
        return sorted(name for name in self._lasting if not self.containers[name].runs)

    @property
    def _lasting(self) -> list[str]:
        names = (*SERVERS, *(spec.name for spec in SERVICES))
        return [name for name in names if name in self.containers]

    def ports(self, name: str, port: int) -> Sequence[int]:
        """Return the ports of this machine for a port of the container; empty if none."""
        return self.containers[name].ports.get(port, ()) if name in self.containers else ()

    def port(self, name: str, port: int, usual: int) -> int:
        return next(iter(self.ports(name, port)), usual)

    @property
    def state(self) -> State:
        return State(
            runtime=Runtime.CONTAINERS,
            postgres=self.port("db", 5432, POSTGRES_PORT),
            rabbitmq=self.port("rabbitmq", 5671, RABBITMQ_PORT),
            management=self.port("rabbitmq", 15672, MANAGEMENT_PORT),
            services={spec.name: self.port(spec.name, spec.port, spec.port) for spec in SERVICES},
            tls=True,
        )


def find(folder: Path) -> Found:
    """Return the folder's containers; none where there is no docker, or no engine that answers.

    Raises StartFailed when another checkout has a project of this name.
    """
    if shutil.which("docker") is None:
        return Found({})
    ids = _compose(folder, ["ps", "--all", "--quiet"], quiet=True).stdout.split()
    if not ids:
        return Found({})
    inspected = _run(["docker", "inspect", *ids], quiet=True).stdout or "[]"
    found = [
        Container.described(each)
        for each in json.loads(inspected)
        if each["Config"]["Labels"].get("com.docker.compose.oneoff") != "True"
    ]
    for container in found:
        if container.checkout.resolve() != ROOT.resolve():
            raise StartFailed(
                f"the compose project {project(folder)} is in use by {container.checkout}: "
                "set COMPOSE_PROJECT_NAME to another name, in .env"
            )
    return Found({container.name: container for container in found})


def start(folder: Path, *, ours: bool) -> State:
    """Start what does not run, and wait until all are healthy. Containers whose code or settings
    have changed are created again; where some that are not `ours` run, they do not change.

    Raises StartFailed. What did not run before is then stopped again, if nothing of it ran.
    """
    there, ports = find(folder), Ports()
    environment = _environment(folder, there, ports)
    up = ["up", "--detach", "--wait", "--quiet-pull"]
    renews = ours or not there.running
    up += ["--build", "--remove-orphans"] if renews else ["--no-build", "--no-recreate"]
    try:
        if _compose(folder, up, environment).returncode:
            raise StartFailed(_trouble(folder))
        found = find(folder)
        copy_passwords(folder, found)
    except BaseException:
        if not there.running:
            print("stopping what was started", flush=True)
            stop(folder)
        raise
    return found.state


def is_current(folder: Path) -> bool:
    """Return whether all containers have the current code and settings. This builds the image,
    which is quick where nothing has changed.
    """
    there, ports = find(folder), Ports()
    environment = _environment(folder, there, ports)
    built = _compose(folder, ["build", "--quiet", "secrets"], quiet=True).returncode == 0
    name = f"mercado-veiculo:{project(folder)}"
    image = _run(["docker", "image", "inspect", "--format", "{{.Id}}", name], quiet=True)
    hashes = _compose(folder, ["config", "--hash", "*"], environment, quiet=True).stdout
    settings = dict(line.split() for line in hashes.splitlines())
    return built and all(
        each.settings == settings.get(each.name)
        and (each.name in SERVERS or each.image == image.stdout.strip())
        for each in there.containers.values()
    )


def stop(folder: Path) -> list[str]:
    """Stop and remove the containers, and return the names of those that ran; the data stays.
    Raises StillRunning where one cannot be stopped.
    """
    names = find(folder).running
    if _compose(folder, [*QUIET, "down", "--remove-orphans"]).returncode:
        raise StillRunning("the containers could not be stopped: see above")
    return names


def data(folder: Path) -> list[str]:
    """Return the names of the volumes and images that `delete_data` deletes."""
    name = project(folder)
    label = f"label=com.docker.compose.project={name}"
    volumes = _run(["docker", "volume", "ls", "--quiet", "--filter", label], quiet=True)
    listed = _run(["docker", "image", "ls", "--format", "{{.Repository}}:{{.Tag}}"], quiet=True)
    ours = {f"mercado-veiculo{kind}:{name}" for kind in ("", "-backup", "-pgbouncer", "-tests")}
    return [
        *(f"volume {each}" for each in sorted(volumes.stdout.split())),
        *(f"image {each}" for each in sorted(ours.intersection(listed.stdout.split()))),
    ]


def delete_data(folder: Path, *, images: bool) -> None:
    """Delete the data, or raise StartFailed and keep its passwords: they are needed as long as the
    data exists.
    """
    find(folder)  # refuses a project of another checkout
    made = [each.removeprefix("image ") for each in data(folder) if each.startswith("image ")]
    down = [*QUIET, "down", "--volumes", "--remove-orphans"]
    done = _compose(folder, down, quiet=True)
    if done.returncode:
        raise StartFailed(f"the data of the containers was not deleted: {done.stderr.strip()}")
    if images and made:
        _run(["docker", "image", "rm", *made], quiet=True)


def renew_certificates(folder: Path) -> dict[str, datetime]:
    """Return the end of each server's new certificate; the servers use the new ones at once. Raises
    StartFailed where one was not renewed.
    """
    make = ["run", "--rm", "--no-deps", "--quiet-pull", "-T", "secrets", "certificates"]
    done = made = _compose(folder, make, quiet=True)
    for name, command in _TAKE_CERTIFICATE.items():
        if not done.returncode:
            done = _compose(folder, ["exec", "-T", name, "bash", "-euc", command], quiet=True)
    if done.returncode:
        reason = " ".join(done.stderr.split())[-300:]
        raise StartFailed(f"the certificates were not renewed: {reason}")
    _compose(folder, ["kill", "--signal", "HUP", "pgbouncer"], quiet=True)  # where it runs
    told = (line.split() for line in made.stdout.splitlines())  # among compose's own lines
    return {
        words[0]: datetime.fromisoformat(words[1]) for words in told if words[:1] in _FIRST_WORDS
    }


def rotate(folder: Path, what: str) -> None:
    """Replace the secret. Raises StartFailed when interrupted; another run completes it."""
    command = ["run", "--rm", "--no-deps", "--quiet-pull", "-T", "secrets", "rotate", what]
    done = _compose(folder, command)
    if what == "database":  # the exporter reads its password only when it starts
        _compose(folder, ["--profile", "*", "restart", "exporter"], quiet=True)
    copy_passwords(folder, find(folder))
    if done.returncode:
        raise StartFailed(f"{what}: not everything was replaced, see above")


_FIRST_WORDS = [[name] for name in SERVERS]
_TAKE_CERTIFICATE = {
    "db": f"install -m 600 {SECRETS}/server.pem /tmp/new.pem;"
    " mv /tmp/new.pem /tmp/server.pem;"
    ' pg_ctl reload --silent --pgdata="$PGDATA"',
    "rabbitmq": "rabbitmqctl eval 'ssl:clear_pem_cache().'",
}


def show_logs(folder: Path, names: Sequence[str], *, follow: bool) -> None:
    _compose(folder, ["logs", *(["--follow"] if follow else []), *names])


def copy_passwords(folder: Path, there: Found) -> None:
    """Copy the passwords from the volume in which they are made to the place where the tools read
    them, with the certificate that the tools trust.

    Raises StartFailed where they cannot be read.
    """
    state = there.state
    trusted = state.authority(folder).certificate
    trusted.parent.mkdir(parents=True, exist_ok=True)
    wanted = {
        SECRETS / "authority" / trusted.name: trusted,
        SECRETS / "secrets.json": state.passwords_file(folder),
    }
    holder = there.containers.get("secrets")  # it has ended, and its volume can still be read
    if not holder or not all(_copied(holder, *each) for each in wanted.items()):
        raise StartFailed(
            "the passwords cannot be read from the container `secrets`: "
            "docker compose up -d --wait makes it again"
        )


def _copied(holder: Container, source: PurePosixPath, target: Path) -> bool:
    draft = target.with_suffix(f".{os.getpid()}")
    if _run(["docker", "cp", f"{holder.id}:{source}", str(draft)], quiet=True).returncode:
        return False
    draft.chmod(0o600)
    draft.replace(target)
    return True


def project(folder: Path) -> str:
    """Return the name of the folder's compose project, or raise StartFailed."""
    config = _compose(folder, ["config", "--format", "json"], quiet=True)
    try:
        name: str = json.loads(config.stdout)["name"]
    except (ValueError, KeyError):
        reason = " ".join(config.stderr.split())
        raise StartFailed(f"docker compose cannot read compose.yaml: {reason}") from None
    return name


def _environment(folder: Path, there: Found, ports: Ports) -> dict[str, str]:
    """Return the ports under the names in compose.yaml. A port without a container is the one that
    its variable names (only in the checkout's own system), or else a free one.
    """

    def port(variable: str, known: Sequence[int], usual: int) -> str:
        if known:
            return str(known[0])
        own = folder == ROOT / ".local"
        return str(ports.pick_named(variable, usual, ROOT) if own else ports.pick(usual))

    orders = there.ports("orders", 8000)
    found = {
        "DB_PORT": port("DB_PORT", there.ports("db", 5432), POSTGRES_PORT),
        "RABBITMQ_PORT": port("RABBITMQ_PORT", there.ports("rabbitmq", 5671), RABBITMQ_PORT),
        "RABBITMQ_MANAGEMENT_PORT": port(
            "RABBITMQ_MANAGEMENT_PORT", there.ports("rabbitmq", 15672), MANAGEMENT_PORT
        ),
        "PURCHASES_PORT": port("PURCHASES_PORT", orders[1:], PURCHASES_PORT),
    }
    for spec in SERVICES:
        variable = f"{spec.name.upper()}_PORT"
        found[variable] = port(variable, there.ports(spec.name, spec.port), spec.port)
    return found


def _trouble(folder: Path) -> str:
    """Return the last output of the containers that failed."""
    lines = ["the containers did not all start"]
    failed = _compose(folder, ["ps", "--all", "--format", _FAILED], quiet=True).stdout.split()
    for name in sorted(set(failed)):
        logs = _compose(folder, ["logs", "--no-log-prefix", "--tail", "15", name], quiet=True)
        lines += [f"{name}:", *(f"    {line}" for line in logs.stdout.splitlines())]
    return "\n".join(lines)


_FAILED = (
    '{{if or (eq .Health "unhealthy") (and (eq .State "exited") (ne .ExitCode 0))'
    ' (eq .State "restarting")}}{{.Service}}{{end}}'
)


def _compose(
    folder: Path,
    arguments: Sequence[str],
    environment: Mapping[str, str] | None = None,
    *,
    quiet: bool = False,
) -> subprocess.CompletedProcess[str]:
    named = [] if folder == ROOT / ".local" else ["--project-name", _beside(folder)]
    # compose.yaml names the project after PWD, so PWD is the folder's name in a shell there.
    shell = Path(os.environ.get("PWD") or "/")
    here = shell if shell.is_dir() and shell.samefile(ROOT) else ROOT.resolve()
    variables = {"PWD": str(here), **(environment or {})}
    return _run(["docker", "compose", *named, *arguments], variables, quiet=quiet)


def _beside(folder: Path) -> str:
    return f"mercado-veiculo-{hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:8]}"


def _run(
    command: Sequence[str], environment: Mapping[str, str] | None = None, *, quiet: bool = False
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, **(environment or {})},
        stdin=subprocess.DEVNULL,
        capture_output=quiet,
        text=True,
        check=False,
    )
