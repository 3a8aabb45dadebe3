"""Backups of the system are recorded as audits, where operators find them, and as a metric."""

from prometheus_client import Gauge

from libs.kernel.clock import utc_now
from libs.kernel.ids import uuid7
from libs.runtime.auth import DEFAULT_TENANT
from libs.runtime.loops import Loop
from services.portal.application.ports import WantedAudits
from services.portal.application.record_audit import record_audit
from services.portal.domain.audit import Act, Audit, Result
from services.portal.infrastructure.store.postgres import PostgresPortalUnitOfWork, Store

MADE = "backup.made"
CHECKED = "backup.checked"
ACTOR = "backup"
LOOK_SECONDS = 60.0
LAST_SUCCESS = Gauge(
    "backup_last_success_timestamp_seconds",
    "When the last backup had been made, and copied where a store is named, in seconds since 1970",
)
"""The value is the time of the last success, or 0 when there is none."""


async def record_backup(transactions: Store, *, name: str, action: str, result: Result) -> Audit:
    """Record that a backup was MADE, or was CHECKED by a restore into another place."""
    return await transactions.run(
        lambda uow: record_audit(
            uow,
            act=Act(DEFAULT_TENANT, ACTOR, uuid7(), utc_now()),
            action=action,
            target=name,
            result=result,
        )
    )


async def last_backup(uow: PostgresPortalUnitOfWork) -> Audit | None:
    found = await uow.audits.page(DEFAULT_TENANT, None, 1, wanted=WantedAudits(action=MADE))
    return found[0] if found else None


def loop(transactions: Store) -> Loop:
    """Return the loop that keeps the metric equal to the audits."""

    async def look() -> bool:
        last = await transactions.read(last_backup)
        LAST_SUCCESS.set(last.entry.at.timestamp() if last else 0)
        return False

    return Loop("age of the backup", LOOK_SECONDS, look)
