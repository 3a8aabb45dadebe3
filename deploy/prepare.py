"""Servers are prepared for the services: accounts, schemas, topology. Running it again is safe.

One process does it for all services, because importing them takes most of the time.
"""

import asyncio
import os

from deploy.installation import CHOREOGRAPHY, SUPERUSER, VHOST, Installation
from deploy.services import SERVICES
from libs.messaging import topology
from libs.messaging.database_url import parse_database_url
from libs.messaging.saga.choreography import read
from libs.runtime.migration_plan import Pending, pending
from libs.runtime.migrations import migrate
from libs.runtime.start_failure import StartFailure


def prepare_databases(installation: Installation) -> None:
    """Create databases and roles, and migrate each to the newest schema.

    Raises StartFailure. With MIGRATIONS=approved a schema does not change, and one that is not the
    newest is a failure, because somebody has to approve the change first.
    """
    asyncio.run(installation.provision_postgres())
    how = os.environ.get("MIGRATIONS") or "automatic"
    if how not in ("automatic", "approved"):
        raise StartFailure(f"MIGRATIONS is {how!r}: it can be automatic or approved")
    if how == "approved":
        _check_that_none_is_pending(installation)
        return
    for spec in SERVICES:
        migrate_to_head(installation, spec.name)


def migrate_to_head(installation: Installation, service: str) -> None:
    """Migrate a service's database to the newest schema, or raise StartFailure."""
    url = installation.database_url(service, f"{service}_migrator")
    migrate(service, parse_database_url(url), "upgrade", "head")


def pending_of(installation: Installation, service: str) -> Pending:
    """Return the migrations that a service's database has not had. Raises StartFailure."""
    return asyncio.run(pending(service, installation.database_url(service, SUPERUSER)))


def _check_that_none_is_pending(installation: Installation) -> None:
    for spec in SERVICES:
        found = pending_of(installation, spec.name)
        if found.revisions:
            raise StartFailure(
                f"{spec.name} is at {found.revision or 'no revision'}, {found.head} is pending and "
                "MIGRATIONS=approved: ./taskw migrate plan, then apply"
            )


def prepare_broker(installation: Installation) -> None:
    """Create vhost, users, exchanges, queues, bindings and policies.

    Raises ChoreographyError, TopologyError or httpx.HTTPError.
    """
    participants = read(CHOREOGRAPHY).participants
    asyncio.run(installation.provision_rabbitmq(participants))
    wanted = topology.topology_of(participants)
    asyncio.run(topology.apply(installation.broker_url(installation.administrator), wanted))
    asyncio.run(topology.apply_policies(installation.management_url, VHOST, wanted))
