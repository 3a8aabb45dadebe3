"""The containers of deploy/terraform run python -m deploy.gcp.inside COMMAND.

`serve NAME` runs a service with the settings of Cloud Run; `databases` and `broker` prepare the
servers that the job's own secret names. `databases --approved-by=NAME` does pending migrations too
where they wait for an approval.
"""

import asyncio
import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deploy.certificates import Authority
from deploy.docker.volumes import FILES
from deploy.gcp.catalogue import KEEPS_A_LEDGER
from deploy.gcp.held_passwords import HeldPasswords
from deploy.installation import Installation
from deploy.local.migrating import apply_pending
from deploy.prepare import prepare_broker, prepare_databases
from deploy.services import service_named
from deploy.waiting import wait_for
from libs.runtime.start_failure import StartFailure, one_line_errors

INSTALLATION = Path("/secrets/INSTALLATION/value")
APPROVED = "--approved-by="
DATABASE_AUTHORITY = "/secrets/database-authority/ca.pem"


@dataclass(frozen=True)
class Servers:
    """These are the addresses of the servers, as `HOST:PORT`. A public authority signs the broker's
    certificate. `administrator` is the broker's user who may make vhosts and users.
    """

    postgres: str
    rabbitmq: str
    management: str
    administrator: str


class CloudTrust(Authority):
    """The database's certificate names its instance and not its address, so only its authority is
    checked, which signs for this instance alone.
    """

    def __init__(self) -> None:
        super().__init__(Path(DATABASE_AUTHORITY).parent)

    @property
    def database_parameters(self) -> str:
        return f"sslmode=verify-ca&sslrootcert={DATABASE_AUTHORITY}"

    @property
    def broker_parameters(self) -> str:
        return ""


def installation_of(
    servers: Servers, passwords: HeldPasswords, services: dict[str, str]
) -> Installation:
    """Return the installation. `services` are the URLs by name."""
    return Installation(
        servers.postgres,
        servers.rabbitmq,
        servers.management,
        passwords,
        FILES,
        services,
        authority=CloudTrust(),
        management_scheme="https",
        administrator=servers.administrator,
    )


def handed(file: Path = INSTALLATION) -> Installation:
    """Return the secrets that the job may know, or raise StartFailure where the file lacks some."""
    try:
        found: dict[str, Any] = json.loads(file.read_text())
        return installation_of(
            Servers(**found["servers"]), HeldPasswords(found["passwords"]), found["services"]
        )
    except OSError as error:
        raise StartFailure(f"{file}: {error.strerror}") from None
    except (ValueError, KeyError, TypeError):
        raise StartFailure(
            f"{file} is no installation: it wants servers, passwords and services"
        ) from None


def main(words: list[str]) -> None:
    """Run a command. End an error with exit code 2 and one line."""
    with one_line_errors():
        match words:
            case ["serve", name]:
                _serve(name)
            case ["databases"]:
                prepare_databases(handed())
            case ["databases", word] if word.startswith(APPROVED):
                _migrate_approved(handed(), word.removeprefix(APPROVED))
            case ["broker"]:
                prepare_broker(handed())
            case _:
                raise StartFailure("say what to do: serve NAME, databases or broker")


def _migrate_approved(installation: Installation, approved_by: str) -> None:
    asyncio.run(installation.provision_postgres())
    apply_pending(installation, approved_by)


def _check_the_ledger(name: str) -> None:
    """Report a missing bucket at the start: without it no customer can be erased."""
    folder = Path(os.environ.get("ERASURE_LEDGER", "/")).parent
    if name == KEEPS_A_LEDGER and not os.access(folder, os.W_OK):
        raise StartFailure(f"the folder of the erasure ledger, {folder}, cannot be written")


def _serve(name: str) -> None:
    try:
        spec = service_named(name)
    except ValueError as error:
        raise StartFailure(str(error)) from None
    _check_the_ledger(spec.name)
    if not spec.is_portal:
        wait_for(os.environ["JWKS_URL"])
    os.execv(sys.executable, [sys.executable, "-m", f"services.{spec.name}.main"])  # noqa: S606


if __name__ == "__main__":
    main(sys.argv[1:])
