"""python -m deploy.docker COMMAND: what the containers of compose.yaml run.

`secrets` makes the passwords up once; all other containers find them in the same volume.
"""

import os
import sys
from collections.abc import Mapping
from pathlib import Path

import typer

from deploy.installation import ADMINISTRATOR, SUPERUSER, VHOST, Installation
from deploy.passwords import Passwords
from deploy.services import SERVICES, service_named
from libs.runtime.auth import ROLES

SECRETS = Path("/var/lib/mercado-veiculo/secrets")
FILES = Path("/var/lib/mercado-veiculo/files")
RABBITMQ_SETTINGS = """\
default_user = {user}
default_pass = {password}
consumer_timeout = 43200000
log.console = true
log.file = false
"""

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False, add_completion=False)
FORWARDED = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}


def installation() -> Installation:
    """The servers as containers of the same network see them."""
    passwords = Passwords(SECRETS / "secrets.json")
    services = {spec.name: f"http://{spec.name}:{spec.port}" for spec in SERVICES}
    return Installation("db:5432", "rabbitmq:5672", "rabbitmq:15672", passwords, FILES, services)


@app.command()
def secrets() -> None:
    """Make up the passwords of the servers, and write them as these want to read them."""
    made = installation()
    for spec in SERVICES:  # all there are: the other containers can only read
        made.settings(spec, "", 0)
        made.migration(spec.name)
    for role in ROLES:
        made.sign_in_password(role)
    (SECRETS / "postgres").write_text(made.passwords.password(SUPERUSER))
    (SECRETS / "rabbitmq").mkdir(exist_ok=True)
    password = made.passwords.password(f"rabbitmq {ADMINISTRATOR}")
    settings = RABBITMQ_SETTINGS.format(user=ADMINISTRATOR, password=password)
    (SECRETS / "rabbitmq" / "mercado.conf").write_text(settings)


@app.command()
def databases() -> None:
    """Make databases and roles, and migrate."""
    from deploy.prepare import prepare_databases

    prepare_databases(installation())


@app.command()
def broker() -> None:
    """Make vhost and users, and declare exchanges, queues and bindings."""
    from deploy.prepare import prepare_broker

    prepare_broker(installation())


@app.command()
def serve(name: str) -> None:
    """Become a service; the container's environment goes before what the installation says."""
    spec = service_named(name)
    settings = installation().settings(spec, "0.0.0.0", spec.port)  # noqa: S104  # nosec B104
    _become([f"services.{spec.name}.main"], {**settings, **os.environ})


@app.command(context_settings=FORWARDED)
def tests(context: typer.Context) -> None:
    """Become pytest, with the installation's servers as the test run's."""
    found = installation()
    servers = {
        "TEST_POSTGRES_URL": found.superuser_url,
        "TEST_RABBITMQ_URL": found.broker_url(ADMINISTRATOR).replace(f"/{VHOST}", "/"),
        "TEST_RABBITMQ_MANAGEMENT_URL": found.management_url,
    }
    _become(["pytest", *context.args], {**os.environ, **servers})


def _become(module: list[str], environment: Mapping[str, str]) -> None:
    os.execve(sys.executable, [sys.executable, "-m", *module], environment)  # noqa: S606


if __name__ == "__main__":
    app()
