"""The checker of the invariants leaves its result among the audits, where operators find it."""

from collections.abc import Sequence

from libs.kernel.clock import utc_now
from libs.kernel.ids import uuid7
from libs.messaging.outbox.unit_of_work import Transactions
from services.portal.application.record_audit import record_audit
from services.portal.domain.audit import Audit, Result
from services.portal.infrastructure.postgres import PortalUnitOfWork

ACTION = "invariants.checked"
ACTOR = "checker"
LONGEST = 500


async def record_check(
    transactions: Transactions[PortalUnitOfWork],
    *,
    tenant_id: str,
    purchases: int,
    passed_over: int,
    broken: Sequence[str],
) -> Audit:
    """`broken` are the rules that do not hold, in words, without ids of other tenants."""
    details: dict[str, str | int] = {"purchases": purchases, "passed_over": passed_over}
    if broken:
        details["broken"] = "; ".join(broken)[:LONGEST]
    return await transactions.run(
        lambda uow: record_audit(
            uow,
            audit_id=uuid7(),
            tenant_id=tenant_id,
            actor=ACTOR,
            action=ACTION,
            target="all databases",
            result=Result.FAILED if broken else Result.DONE,
            details=details,
            now=utc_now(),
        )
    )
