"""Records an action in the tenant's chain of audits, in the same transaction as its effect."""

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from uuid import UUID

from services.portal.application.ports import PortalUnitOfWork
from services.portal.domain.audit import Audit, Entry, Result

NOTHING: Mapping[str, str | int] = MappingProxyType({})


async def record_audit(
    uow: PortalUnitOfWork,
    *,
    audit_id: UUID,
    tenant_id: str,
    actor: str,
    action: str,
    target: str,
    now: datetime,
    result: Result = Result.DONE,
    details: Mapping[str, str | int] = NOTHING,
) -> Audit:
    """Call it last in the transaction, because the tenant's other entries wait until it ends."""
    entry = Entry(tenant_id, actor, action, target, result, details, now)
    return await uow.audits.append(entry, audit_id)
