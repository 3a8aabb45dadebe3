"""The checker of the invariants records its result among the audits, where operators find it."""

from collections.abc import Sequence
from datetime import datetime

from libs.kernel.clock import utc_now
from libs.kernel.ids import uuid7
from services.portal.application.record_audit import record_audit
from services.portal.domain.audit import Act, Audit, Result
from services.portal.infrastructure.store.postgres import PostgresPortalUnitOfWork, Store

ACTION = "invariants.checked"
ACTOR = "checker"
LONGEST = 500


async def record_check(
    transactions: Store,
    *,
    tenant_id: str,
    purchases: int,
    passed_over: int,
    broken: Sequence[str],
    started: datetime | None = None,
) -> Audit:
    """Record the result. `broken` are the rules that do not hold, in words and without ids of other
    tenants. `started` is when the check began, by the database's clock; it answers the requests
    made before.
    """
    details: dict[str, str | int] = {"purchases": purchases, "passed_over": passed_over}
    if broken:
        details["broken"] = "; ".join(broken)[:LONGEST]

    async def work(uow: PostgresPortalUnitOfWork) -> Audit:
        if started is not None:
            await uow.checks.answer(tenant_id, started)
        return await record_audit(
            uow,
            act=Act(tenant_id, ACTOR, uuid7(), utc_now()),
            action=ACTION,
            target="all databases",
            result=Result.FAILED if broken else Result.DONE,
            details=details,
        )

    return await transactions.run(work)
