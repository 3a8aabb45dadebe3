"""What the portal tidies up by itself."""

from sqlalchemy import text

from libs.messaging.outbox.unit_of_work import Transactions
from libs.runtime.loops import Loop
from services.portal.infrastructure.postgres import PortalUnitOfWork
from services.portal.infrastructure.settings import PortalSettings

MONTHS_AHEAD = 2
MAINTAIN = text("SELECT portal_maintain_partitions(:ahead, :audits, :timeline)")


def loops(transactions: Transactions[PortalUnitOfWork], settings: PortalSettings) -> list[Loop]:
    """Partitions made ahead and dropped behind; sessions and attempts that are over go."""
    months = {
        "ahead": MONTHS_AHEAD,
        "audits": settings.audit_months,
        "timeline": settings.timeline_months,
    }

    async def maintain(uow: PortalUnitOfWork) -> bool:
        await uow.connection.execute(MAINTAIN, months)
        return False

    async def forget(uow: PortalUnitOfWork) -> bool:
        await uow.sessions.forget_old()
        return False

    return [
        Loop("partitions", 3600.0, lambda: transactions.run(maintain)),
        Loop("old sessions", 300.0, lambda: transactions.run(forget)),
    ]
