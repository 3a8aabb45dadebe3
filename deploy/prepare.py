"""Makes servers ready for the services: accounts, schemas, topology. Doing it again is safe.

In one process for all services, since most of the time goes into importing them.
"""

import asyncio

from deploy.installation import ADMINISTRATOR, CHOREOGRAPHY, Installation
from deploy.services import SERVICES
from libs.messaging import topology
from libs.messaging.database_url import parse_database_url
from libs.messaging.saga.choreography import read
from libs.runtime.migrations import migrate


def prepare_databases(installation: Installation) -> None:
    """Databases, roles, and the newest schema in each; raises StartFailure."""
    asyncio.run(installation.provision_postgres())
    for spec in SERVICES:
        url = installation.database_url(spec.name, f"{spec.name}_migrator")
        migrate(spec.name, parse_database_url(url), "upgrade", "head")


def prepare_broker(installation: Installation) -> None:
    """Vhost, users, exchanges, queues and bindings.

    Raises ChoreographyError, TopologyError or httpx.HTTPError.
    """
    participants = read(CHOREOGRAPHY).participants
    asyncio.run(installation.provision_rabbitmq(participants))
    wanted = topology.topology_of(participants)
    asyncio.run(topology.apply(installation.broker_url(ADMINISTRATOR), wanted))
