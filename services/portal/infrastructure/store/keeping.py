"""The portal deletes its own old rows."""

from libs.messaging.database import Connection
from libs.messaging.schema.partitions import Maintain
from libs.runtime.loops import Loop
from services.portal.infrastructure.settings import PortalSettings
from services.portal.infrastructure.store.postgres import PostgresPortalUnitOfWork, Store

MONTHS_AHEAD = 2
AT_ONCE = 200


def months(settings: PortalSettings) -> Maintain:
    """Return the upkeep that makes the partitions of audits and timeline ahead and drops old ones,
    by whole months. Each month has a transaction of its own.
    """

    async def maintain(connection: Connection) -> list[str]:
        failures: list[str] = []
        for ahead in range(MONTHS_AHEAD + 1):
            rows = await connection.fetch(
                "SELECT portal_maintain_partitions($1, $2, $3)",
                ahead,
                settings.audit_months,
                settings.timeline_months,
            )
            failures = [row[0] for row in rows]
        return failures

    return maintain


def loops(transactions: Store) -> list[Loop]:
    """Return the loops that delete expired rows: sessions, sign-in attempts, known places, tokens,
    and submissions that nobody has begun. Old users without an index of names get one.
    """

    async def forget(uow: PostgresPortalUnitOfWork) -> bool:
        await uow.sessions.forget_old()
        await uow.places.forget_old()
        await uow.resets.forget_old()
        await uow.submissions.forget_old()
        return False

    async def index(uow: PostgresPortalUnitOfWork) -> bool:
        return await uow.users.index_names(AT_ONCE) == AT_ONCE

    return [
        Loop("old sessions", 300.0, lambda: transactions.run(forget)),
        Loop("names of users", 300.0, lambda: transactions.run(index)),
    ]
