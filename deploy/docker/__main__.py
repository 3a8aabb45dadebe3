"""The containers of compose.yaml run python -m deploy.docker COMMAND.

`secrets` makes the passwords once, and gives every other container those it needs.
"""

import os
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Annotated

import typer

from deploy.auth import kept_auth
from deploy.backup.failure import BackupFailed
from deploy.docker.volumes import (
    AUTHORITY,
    OWN,
    PGBOUNCER_PORT,
    SECRETS,
    SETTINGS,
    installation,
    make_up,
    renew_certificates,
)
from deploy.installation import ADMINISTRATOR, Installation
from deploy.passwords import Passwords
from deploy.secret_settings import with_files
from deploy.services import service_named
from deploy.waiting import wait_for
from libs.runtime.start_failure import StartFailure, one_line_errors

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False, add_completion=False)
FORWARDED = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}


@app.command()
def secrets() -> None:
    """Make the passwords of the servers, and write them in the form that each server reads. Store
    AUTH where it is set now.
    """
    make_up(SECRETS, OWN)


@app.command()
def certificates() -> None:
    """Make the servers' certificates anew, and print until when each is good."""
    for server, end in renew_certificates(SECRETS, OWN).items():
        print(server, end.isoformat())


@app.command()
def rotate(what: str) -> None:
    """Replace passwords or keys, and hand them out to the containers that run."""
    from httpx import HTTPError

    from deploy.rotation import ROTATIONS
    from libs.messaging.database import DATABASE_ERRORS

    if what not in ROTATIONS:
        raise StartFailure(f"{what!r} is not one of {', '.join(ROTATIONS)}")
    pooled = _answers("pgbouncer", PGBOUNCER_PORT)
    everything = installation(Passwords(SECRETS / "secrets.json"), pooled=pooled)
    try:
        ROTATIONS[what](everything, lambda: make_up(SECRETS, OWN))
    except (HTTPError, *DATABASE_ERRORS) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise StartFailure(f"not everything was replaced, run it again: {reason}") from None


@app.command()
def databases() -> None:
    """Make databases and roles, and migrate."""
    from deploy.prepare import prepare_databases

    prepare_databases(_own())


@app.command()
def broker() -> None:
    """Make vhost and users, and declare exchanges, queues and bindings."""
    from deploy.prepare import prepare_broker

    prepare_broker(_own())


@app.command(context_settings=FORWARDED)
def serve(context: typer.Context, name: str) -> None:
    """Run a service, or a command of its own such as the portal's `add-user`. The container's
    environment takes precedence over the installation.
    """
    spec = service_named(name)
    found = _own(pooled=os.environ.get("PGBOUNCER", "").lower() == "true")
    settings = found.settings(spec, "0.0.0.0", spec.port)  # noqa: S104  # nosec B104
    own = {name: value for name, value in settings.items() if name not in os.environ}
    environment: dict[str, str] = {**with_files(own, SECRETS / SETTINGS), **os.environ}
    if not spec.is_portal:
        kept = kept_auth(SECRETS / "auth", "")
        environment["AUTH"] = os.environ.get("AUTH") or kept or "off"
        if environment["AUTH"] == "on":
            environment.setdefault("JWKS_URL", found.jwks_url)
            wait_for(found.jwks_url)
    _become([f"services.{spec.name}.main", *context.args], environment)


@app.command()
def checker() -> None:
    """Check the invariants from time to time, and when operators ask for it in the portal."""
    from deploy.checker.periodic import run

    run(_own())


@app.command()
def backup(what: str, name: Annotated[str | None, typer.Argument()] = None) -> None:
    """Back up each day (`daily`), or `check` or `restore` a backup with the identity from the
    standard input; make an identity up (`new-identity`).
    """
    from deploy.docker import backups

    commands: dict[str, Callable[[], bool | None]] = {
        "daily": lambda: backups.make_each_day(_own()),
        "new-identity": backups.new_identity,
        "check": lambda: backups.check(name),
        "restore": lambda: backups.restore(name),
    }
    if what not in commands:
        raise StartFailure(f"{what!r} is not one of {', '.join(commands)}")
    try:
        if commands[what]() is False:
            raise StartFailure("not every invariant holds, see above")
    except BackupFailed as error:
        raise StartFailure(str(error)) from None


@app.command()
def restored() -> None:
    """Before any service starts on restored databases, erase again and rewind the queues."""
    from deploy.docker import backups

    try:
        backups.go_on(_own())
    except BackupFailed as error:
        raise StartFailure(str(error)) from None


@app.command(context_settings=FORWARDED)
def tests(context: typer.Context) -> None:
    """Run pytest with the installation's servers as the servers of the test run. Forwarders bring
    the servers to the loopback without TLS, because services accept plain text only there, and many
    tests read the traffic.
    """
    trusted = SECRETS / AUTHORITY / "ca.pem"
    for port, server in (
        (5432, "TCP:db:5432"),
        (5672, f"OPENSSL:rabbitmq:5671,cafile={trusted}"),
        (15672, "TCP:rabbitmq:15672"),
    ):
        subprocess.Popen(
            ["socat", f"TCP-LISTEN:{port},bind=127.0.0.1,fork,reuseaddr", server],
            stderr=subprocess.DEVNULL,  # a line for each connection that a test resets
        )
    found = replace(
        _own(),
        postgres="127.0.0.1:5432",
        rabbitmq="127.0.0.1:5672",
        management="127.0.0.1:15672",
        authority=None,
        management_scheme="http",
    )
    servers = {
        "TEST_POSTGRES_URL": found.superuser_url,
        "TEST_RABBITMQ_URL": found.broker_url(ADMINISTRATOR, vhost=""),
        "TEST_RABBITMQ_MANAGEMENT_URL": found.management_url,
    }
    _become(["pytest", *context.args], {**os.environ, **servers})


def _own(*, pooled: bool = False) -> Installation:
    """Return the installation, as far as this container knows it."""
    return installation(Passwords(SECRETS / "secrets.json"), pooled=pooled)


def _answers(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), timeout=5).close()
    except OSError:
        return False
    return True


def _become(module: list[str], environment: Mapping[str, str]) -> None:
    os.execve(sys.executable, [sys.executable, "-m", *module], environment)  # noqa: S606


if __name__ == "__main__":
    with one_line_errors():
        app()
