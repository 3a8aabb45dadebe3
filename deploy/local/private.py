"""The whole system runs as processes of this machine."""

import os
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.client import HTTPException
from pathlib import Path

import asyncpg
import httpx

from deploy.auth import asked_auth, asked_tls, kept, kept_auth
from deploy.backup.failure import BackupFailed
from deploy.backup.restoring import finish, place_of, switch
from deploy.installation import ADMINISTRATOR, ROOT, SUPERUSER, Installation
from deploy.local.engine import Runtime
from deploy.local.state import State
from deploy.prepare import prepare_broker, prepare_databases
from deploy.secret_settings import SECRETS, with_files, write_secrets
from deploy.servers.ports import Ports
from deploy.servers.postgres import data_folder, start_postgres
from deploy.servers.processes import Children, StartFailed, StillRunning
from deploy.servers.rabbitmq import Broker, start_rabbitmq, wait_for_rabbitmq
from deploy.services import SERVICES, ServiceSpec
from libs.messaging.saga.choreography import ChoreographyError
from libs.messaging.topology import TopologyError
from libs.runtime.direct import open_directly
from libs.runtime.start_failure import StartFailure

# Servers that have just started raise these errors.
EXPECTED = (
    StartFailure,
    BackupFailed,
    TopologyError,
    ChoreographyError,
    asyncpg.PostgresError,
    httpx.HTTPError,
    OSError,
)
CHECKER = "checker"
SERVICE_SECONDS = 60.0
"""A service may take this long until it is ready."""
POSTGRES_PORT, RABBITMQ_PORT, MANAGEMENT_PORT = 5433, 5672, 15672


def start(folder: Path, earlier: State | None = None) -> State:
    """Start servers, prepare them, start every service, and wait until all are ready. What runs
    already goes on unchanged. Ports are those of `earlier` where they are free.

    Raises StartFailed, with one line and a log's last lines; everything started by this call is
    stopped then.
    """
    children, ports = Children(folder, tied=False), Ports()
    if not children.runs("postgres"):
        switch(place_of(folder))  # completes a restore that was killed
    state = _state(children, ports, earlier)
    installation = state.installation(folder)
    installation.files.mkdir(mode=0o700, exist_ok=True)
    try:
        _start_servers(children, ports, state, installation)
        _start_services(children, state, installation)
    except EXPECTED as error:
        # A process that has ended is the cause, whatever its clients report.
        cause = children.ended() or " ".join(str(error).split()) or type(error).__name__
        _stop_again(children)
        raise StartFailed(cause) from error
    except BaseException:
        _stop_again(children)
        raise
    return state


def _stop_again(children: Children) -> None:
    print("stopping what was started", flush=True)
    try:
        children.stop()
    except StillRunning as error:  # the cause of the failed start is reported too
        print(error, file=sys.stderr)


def _state(children: Children, ports: Ports, earlier: State | None) -> State:
    """Return the ports and settings of the system. Raises StartFailed where a running part relies
    on a port that another program has taken.
    """
    runs_already = children.running()
    # Only in the checkout's own folder are ports the usual ones, or those of their variables.
    # Elsewhere they are free ones, so that no other system takes one while a server restarts.
    own = children.folder == ROOT / ".local"

    def port(name: str, variable: str, before: int | None, usual: int) -> int:
        if before is None or not runs_already:
            return ports.pick_named(variable, before or usual, ROOT) if own else ports.pick(before)
        if name not in runs_already and not ports.take(before):
            raise StartFailed(
                f"port {before} of {name} is in use by another program: "
                "./taskw down, then up, takes a free one"
            )
        return before

    services = earlier.services if earlier else {}
    return State(
        runtime=Runtime.LOCAL,
        postgres=port("postgres", "DB_PORT", earlier.postgres if earlier else None, POSTGRES_PORT),
        rabbitmq=port(
            "rabbitmq", "RABBITMQ_PORT", earlier.rabbitmq if earlier else None, RABBITMQ_PORT
        ),
        management=port(
            "rabbitmq",
            "RABBITMQ_MANAGEMENT_PORT",
            earlier.management if earlier else None,
            MANAGEMENT_PORT,
        ),
        services={
            spec.name: port(
                spec.name, f"{spec.name.upper()}_PORT", services.get(spec.name), spec.port
            )
            for spec in SERVICES
        },
        tls=_tls(children, asked_tls(ROOT)),
    )


def _tls(children: Children, asked: str) -> bool:
    """Return whether TLS is required. A running system keeps its value."""
    tls = kept(children.folder / "tls", asked)
    if tls == "required" and not asked:
        print("  TLS=required, as at the last start (TLS=remote ./taskw up ends it)", flush=True)
    return tls == "required"


def _start_servers(
    children: Children, ports: Ports, state: State, installation: Installation
) -> None:
    passwords = installation.passwords
    secret = passwords.password(f"rabbitmq {ADMINISTRATOR}")
    authority = installation.authority
    if authority is not None:
        authority.make()
    broker = Broker(state.rabbitmq, state.management, ADMINISTRATOR, secret, authority)
    start_rabbitmq(children, ports, broker, durable=True)
    with _step("Postgres"):
        if not children.runs("postgres"):
            superuser = passwords.password(SUPERUSER)
            start_postgres(children, state.postgres, superuser, durable=True, authority=authority)
    with _step("databases, roles, migrations"):
        prepare_databases(installation)
    with _step("RabbitMQ"):
        wait_for_rabbitmq(children, broker)
    with _step("vhost, users, exchanges, queues"):
        prepare_broker(installation)
    finish(data_folder(children.folder), installation, lambda line: print(f"  {line}", flush=True))


def _start_services(children: Children, state: State, installation: Installation) -> None:
    asked = asked_auth(ROOT)
    auth = kept_auth(children.folder / "auth", asked)
    if auth == "on" and not asked:
        print("  AUTH=on, as at the last start (AUTH=off ./taskw up turns it off)", flush=True)
    also = {"AUTH": auth} if auth else {}
    if state.tls:
        also["TLS"] = "required"
    missing = [spec for spec in SERVICES if not children.runs(spec.name)]
    # With AUTH=on the others need the portal's keys before they start.
    for spec in sorted(missing, key=lambda spec: not spec.is_portal):
        start_service(children, state, installation, spec, also)
        if spec.is_portal and auth == "on":
            wait_for_service(children, state, spec)
    for spec in SERVICES:
        with _step(spec.name):
            wait_for_service(children, state, spec)


def start_service(
    children: Children,
    state: State,
    installation: Installation,
    spec: ServiceSpec,
    also: Mapping[str, str] | None = None,
    *,
    name: str | None = None,
    root: Path = ROOT,
) -> None:
    """Start a service. `also` are settings that override all others. The process is called `name`,
    or like the service, and runs the code of the tree at `root`.
    """
    settings = installation.settings(spec, "127.0.0.1", state.services[spec.name])
    folder = secrets_folder(children.folder, spec)
    write_secrets(settings, folder)
    settings = with_files(settings, folder)
    command = [sys.executable, "-m", f"services.{spec.name}.main"]
    keys = {"JWKS_URL": installation.jwks_url}
    inherited = {name: value for name, value in os.environ.items() if name not in SECRETS}
    env = {**keys, **inherited, **settings, **(also or {})}
    children.start(name or spec.name, command, rank=2, env=env, cwd=root)


def secrets_folder(folder: Path, spec: ServiceSpec) -> Path:
    """Return the folder of a service's secrets, each in a file."""
    return folder / "secrets" / spec.name


def start_checker(folder: Path) -> None:
    """Start the checker once, after the folder's state is stored."""
    children = Children(folder, tied=False)
    if not children.runs(CHECKER):
        command = [sys.executable, "-m", "deploy.local.checking", str(folder)]
        children.start(CHECKER, command, rank=3, env=os.environ, cwd=ROOT)


def wait_for_service(children: Children, state: State, spec: ServiceSpec) -> None:
    """Wait until the service answers that it is ready, or raise StartFailed."""
    wait_for_process(children, spec.name, state.services[spec.name])


def wait_for_process(
    children: Children, name: str, port: int, timeout: float = SERVICE_SECONDS
) -> None:
    """Wait as `wait_for_service` does, for any process that serves on this port."""
    url = f"http://127.0.0.1:{port}/ready"
    children.wait_until(name, lambda: is_ready(url), timeout, port=port)


def is_ready(url: str) -> bool:
    """Return whether a GET of this URL succeeds. This is asked many times a second, and an HTTP
    client would cost more than the answer.
    """
    try:
        with open_directly(url, 5):
            return True
    except (OSError, HTTPException):
        return False


@contextmanager
def _step(name: str) -> Iterator[None]:
    print(f"  {name} …", end="", flush=True)
    started = time.monotonic()
    try:
        yield
    except BaseException as error:
        print(" interrupted" if isinstance(error, KeyboardInterrupt) else " failed", flush=True)
        raise
    print(f" {time.monotonic() - started:.1f} s", flush=True)
