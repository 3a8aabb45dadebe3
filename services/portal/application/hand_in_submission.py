"""A user hands in work. The same content is the same submission until it is finished."""

import hashlib
from datetime import datetime
from uuid import UUID

from libs.kernel.ids import IdFactory
from services.portal.application.ports import PortalUnitOfWork
from services.portal.domain.submission import Submission


async def hand_in_submission(
    uow: PortalUnitOfWork,
    *,
    tenant_id: str,
    user_id: UUID,
    kind: str,
    name: str,
    total: int,
    content: bytes,
    new_id: IdFactory,
    now: datetime,
) -> Submission:
    """Store the submission, which does nothing until it is begun. Returns the existing one where
    the same content is not finished yet. Content of a finished submission makes a new one, because
    what it is about may have changed since.
    """
    wanted = Submission(new_id(), tenant_id, kind, user_id, name, total, now)
    digest = hashlib.sha256(user_id.bytes + content).digest()
    return await uow.submissions.add(wanted, content, digest)
