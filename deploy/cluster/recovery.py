"""A recovery repairs the system after a failover that lost commits: it makes the queues agree with
the databases, and ends the purchases that orders has lost.

With asynchronous replication a standby that becomes the primary may lack what the former one
committed last. All databases lack it from one moment on, as restored databases do: see
`deploy.backup.queues`. But services may have handled events in between that no database holds any
more: see `deploy.checker.lost`.
"""

import asyncio

from deploy.backup.queues import rewind
from deploy.checker.lost import recover_lost
from deploy.checker.verify import databases
from deploy.cluster.plan import REPLICAS
from deploy.cluster.system import Cluster
from deploy.installation import ADMINISTRATOR, CHOREOGRAPHY
from deploy.local.backups import settled
from deploy.servers.processes import StartFailed
from libs.messaging.saga.choreography import read


def recover(cluster: Cluster) -> bool:
    """Stop the services, repair what the last failover lost, start them, and check the invariants
    until they hold. Returns whether they do. Repeating it changes nothing.

    Raises StartFailed, BackupFailed, CommandRefused, DeadLetterError or the errors of asyncpg and
    aio_pika. Services are stopped then.
    """
    moment = cluster.databases.last_failover()
    if moment is None:
        raise StartFailed("no standby has become the primary: there is nothing to recover from")
    installation = cluster.installation
    _say(f"the last failover was at {moment.isoformat(timespec='seconds')}")
    stopped = cluster.children.stop({each.name for each in REPLICAS})
    _say(f"stopped {len(stopped)} processes of services")
    done = asyncio.run(
        rewind(
            databases(installation),
            read(CHOREOGRAPHY).participants,
            installation.broker_url(ADMINISTRATOR),
            moment,
        )
    )
    _say(f"queues: {done.discarded} messages discarded, {done.sent} events sent again")
    asyncio.run(recover_lost(installation, _say))
    cluster.start()
    return settled(installation)


def _say(line: str) -> None:
    print(line, flush=True)
