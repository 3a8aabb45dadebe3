"""A check shows whether the tenant's audits are unchanged, from the first one kept to the last."""

from services.portal.application.ports import PortalUnitOfWork
from services.portal.domain.audit import ChainReport, verify_chain


async def verify_audits(uow: PortalUnitOfWork, *, tenant_id: str) -> ChainReport:
    """Return the report. This must be the first call in its transaction."""
    await uow.audits.hold()
    start, end = await uow.audits.start(tenant_id), await uow.audits.end(tenant_id)
    return await verify_chain(start, uow.audits.entries(tenant_id), end)
