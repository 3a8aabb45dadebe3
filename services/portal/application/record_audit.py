"""An action is recorded in the tenant's chain of audits, in the same transaction as its effect."""

from collections.abc import Mapping
from types import MappingProxyType

from services.portal.application.ports import PortalUnitOfWork
from services.portal.domain.audit import Act, Audit, Entry, Result

NOTHING: Mapping[str, str | int] = MappingProxyType({})


async def record_audit(
    uow: PortalUnitOfWork,
    *,
    act: Act,
    action: str,
    target: str,
    result: Result = Result.DONE,
    details: Mapping[str, str | int] = NOTHING,
) -> Audit:
    """Add an entry last in the transaction, because the tenant's other entries wait for its end."""
    entry = Entry(act.tenant, act.actor, action, target, result, details, act.at)
    return await uow.audits.add(entry, act.id)
