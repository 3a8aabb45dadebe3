"""Actions on the pages are recorded in the audits, with their results."""

from collections.abc import Awaitable, Mapping
from functools import partial
from typing import TypeVar

from libs.kernel.clock import utc_now
from libs.kernel.ids import uuid7
from services.portal.application.record_audit import NOTHING, record_audit
from services.portal.domain.audit import Act, Result
from services.portal.domain.user import User
from services.portal.infrastructure.peers.client import PeerRefusal, PeerUnavailable
from services.portal.infrastructure.store.postgres import Store

T = TypeVar("T")


def act_of(user: User) -> Act:
    """Return an act of the user, made now."""
    return Act(user.tenant_id, str(user.id), uuid7(), utc_now())


class Auditing:
    def __init__(self, transactions: Store) -> None:
        self._transactions = transactions

    async def audited(self, user: User, action: str, target: str, sending: Awaitable[T]) -> T:
        """Await `sending`, and record that `user` did it, or the error instead."""
        try:
            done = await sending
        except PeerRefusal as refusal:
            await self.record(user, action, target, Result.REFUSED, {"code": refusal.code})
            raise
        except PeerUnavailable as error:
            await self.record(user, action, target, Result.FAILED, {"service": error.service})
            raise
        await self.record(user, action, target)
        return done

    async def record(
        self,
        user: User,
        action: str,
        target: str,
        result: Result = Result.DONE,
        details: Mapping[str, str | int] = NOTHING,
    ) -> None:
        await self._transactions.run(
            partial(
                record_audit,
                act=act_of(user),
                action=action,
                target=target,
                result=result,
                details=details,
            )
        )
