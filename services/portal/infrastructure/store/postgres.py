"""The portal's unit of work has its repositories on one transaction."""

from collections.abc import Collection

from sqlalchemy.ext.asyncio import AsyncConnection

from libs.messaging.outbox.outbox import Outbox
from libs.messaging.outbox.unit_of_work import Transactions, UnitOfWork
from services.portal.infrastructure.store.audit_repository import PostgresAudits
from services.portal.infrastructure.store.check_repository import PostgresChecks
from services.portal.infrastructure.store.key_repository import PostgresKeys
from services.portal.infrastructure.store.place_repository import PostgresPlaces
from services.portal.infrastructure.store.reset_repository import PostgresResets
from services.portal.infrastructure.store.session_repository import (
    PostgresAttempts,
    PostgresSessions,
)
from services.portal.infrastructure.store.submission_repository import PostgresSubmissions
from services.portal.infrastructure.store.timeline_repository import PostgresTimeline
from services.portal.infrastructure.store.user_repository import PostgresUsers
from services.portal.infrastructure.store.vault import Vault


class PostgresPortalUnitOfWork(UnitOfWork):
    """A timeline shows the event types in `compensations` as steps back."""

    def __init__(
        self,
        connection: AsyncConnection,
        outbox: Outbox,
        vault: Vault,
        compensations: Collection[str],
    ) -> None:
        super().__init__(connection, outbox)
        self.users = PostgresUsers(connection, vault)
        self.sessions = PostgresSessions(connection, vault)
        self.attempts = PostgresAttempts(connection, vault)
        self.places = PostgresPlaces(connection, vault)
        self.resets = PostgresResets(connection, vault)
        self.keys = PostgresKeys(connection, vault)
        self.audits = PostgresAudits(connection)
        self.checks = PostgresChecks(connection)
        self.submissions = PostgresSubmissions(connection, vault)
        self.timeline = PostgresTimeline(connection, compensations)

    async def flush(self) -> None:
        await self.timeline.flush()


Store = Transactions[PostgresPortalUnitOfWork]
"""The store runs work on all repositories in a transaction."""
