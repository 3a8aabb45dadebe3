"""Somebody hands in work; the same content, until it is through, is the same submission."""

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
    """Nothing is done until it is begun. Handed in already and not finished: that one is answered.
    Once it is finished the same content is a new submission, because what it was about may have
    changed since.
    """
    wanted = Submission(new_id(), tenant_id, kind, user_id, name, total, now)
    digest = hashlib.sha256(user_id.bytes + content).digest()
    return await uow.submissions.add(wanted, content, digest)
