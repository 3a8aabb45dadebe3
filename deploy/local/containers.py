"""The whole system as the containers of compose.yaml."""

import hashlib
import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from deploy.local.engine import Runtime
from deploy.local.ports import Ports
from deploy.local.processes import StartFailed
from deploy.local.state import ROOT, State
from deploy.services import SERVICES

SECRETS = "secrets:/var/lib/mercado-veiculo/secrets/secrets.json"


def start(folder: Path) -> State:
    """Build the image, start the containers, wait until all are healthy.

    Raises StartFailed with all of it stopped again.
    """
    if running(folder):  # a start that was killed left them, on ports that are wanted now
        stop(folder)
    ports = Ports()
    state = State(
        runtime=Runtime.CONTAINERS,
        postgres=ports.pick(5433),
        rabbitmq=ports.pick(5672),
        management=ports.pick(15672),
        services={spec.name: ports.pick(spec.port) for spec in SERVICES},
    )
    environment = _ports(state) | {"PURCHASES_PORT": str(ports.pick(8083))}
    try:
        up = ["up", "--detach", "--build", "--wait", "--remove-orphans", "--quiet-pull"]
        if _compose(folder, up, environment).returncode:
            raise StartFailed(_trouble(folder))
        _copy_passwords(folder, state)
    except BaseException:
        print("stopping what was started", flush=True)
        stop(folder)
        raise
    return state


def running(folder: Path) -> list[str]:
    """The names of the services whose containers run."""
    listed = _compose(folder, ["ps", "--services", "--status", "running"], quiet=True)
    return listed.stdout.split()


def stop(folder: Path) -> list[str]:
    """Stop and remove the containers, and answer the names of what ran; the data stays."""
    names = running(folder)
    _compose(folder, ["--progress", "quiet", "down", "--remove-orphans"])
    return names


def delete_data(folder: Path) -> None:
    """Raises StartFailed when it cannot be: the passwords are needed as long as it is there."""
    down = ["--progress", "quiet", "down", "--volumes", "--remove-orphans"]
    if _compose(folder, down).returncode:
        raise StartFailed("the data of the containers was not deleted")


def show_logs(folder: Path, names: Sequence[str], *, follow: bool) -> None:
    _compose(folder, ["logs", *(["--follow"] if follow else []), *names])


def _ports(state: State) -> dict[str, str]:
    servers = {
        "POSTGRES_PORT": state.postgres,
        "RABBITMQ_PORT": state.rabbitmq,
        "RABBITMQ_MANAGEMENT_PORT": state.management,
    }
    services = {f"{name.upper()}_PORT": port for name, port in state.services.items()}
    return {name: str(port) for name, port in (servers | services).items()}


def _copy_passwords(folder: Path, state: State) -> None:
    target = state.passwords_file(folder)
    target.unlink(missing_ok=True)
    if _compose(folder, ["cp", SECRETS, str(target)], quiet=True).returncode:
        raise StartFailed("the passwords cannot be read from the container `secrets`")
    target.chmod(0o600)


def _trouble(folder: Path) -> str:
    """What the containers that failed said last."""
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
    return subprocess.run(
        ["docker", "compose", "--project-name", _project(folder), *arguments],
        cwd=ROOT,
        env={**os.environ, **(environment or {})},
        stdin=subprocess.DEVNULL,
        capture_output=quiet,
        text=True,
        check=False,
    )


def _project(folder: Path) -> str:
    """compose.yaml's own name, unless the run is kept in another folder than the checkout's."""
    if folder == ROOT / ".local":
        return "mercado-veiculo"
    return f"mercado-veiculo-{hashlib.sha256(str(folder).encode()).hexdigest()[:8]}"
