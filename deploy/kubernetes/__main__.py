"""Pods and people run python -m deploy.kubernetes COMMAND.

A service's pods run `wait SERVICE` before they serve. `secrets` prints a Secret with everything
that is secret in a new installation, made up just now:

    python -m deploy.kubernetes secrets | kubectl create --namespace mercado-veiculo -f -
"""

import base64
import json
import secrets as random

import typer

from deploy.kubernetes.manifests import entries
from deploy.kubernetes.pieces import PROJECT
from deploy.kubernetes.placeholders import Kind
from deploy.kubernetes.waiting_for_migrations import wait as wait_for_migrations
from deploy.services import service_named
from libs.runtime.settings import DatabaseSettings, read_settings
from libs.runtime.start_failure import StartFailure, one_line_errors

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False, add_completion=False)


@app.command()
def wait(service: str) -> None:
    """Wait until the database that DATABASE_URL names has had all migrations of this release."""
    with one_line_errors():
        try:
            service_named(service)
        except ValueError as error:
            raise StartFailure(str(error)) from None
        wait_for_migrations(service, read_settings(DatabaseSettings))


@app.command()
def secrets() -> None:
    """Print a Secret with new passwords and keys. Keep it: data keys that are lost take what they
    have sealed with them.
    """
    made = {name: _made_up(kind) for name, kind in entries().items()}
    manifest = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": PROJECT},
        "stringData": made,
    }
    print(json.dumps(manifest, indent=2))


def _made_up(kind: Kind) -> str:
    if kind == "password":
        return random.token_hex(20)
    key = base64.b64encode(random.token_bytes(32)).decode()
    return key if kind == "key" else f"1:{key}"


if __name__ == "__main__":
    app()
