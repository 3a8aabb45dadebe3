"""These are the bodies that clients send and get."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import Field

from libs.kernel.events import Direction
from libs.runtime.schemas import Body, Out
from services.portal.domain.audit import Audit
from services.portal.domain.session import Session
from services.portal.domain.submission import Submission
from services.portal.domain.timeline import Moment, Timeline
from services.portal.domain.user import User
from services.portal.infrastructure.language.i18n import SOURCE
from services.portal.infrastructure.language.import_words import row_text, whole_text


class Credentials(Body):
    email: Annotated[str, Field(max_length=254)]
    password: Annotated[str, Field(max_length=1000, repr=False)]


class UserOut(Out):
    """`name` and `email` are null where the stored value cannot be read."""

    id: UUID
    name: str | None
    email: str | None
    roles: list[str]
    customer_id: UUID | None
    locale: str

    @classmethod
    def of(cls, user: User) -> "UserOut":
        return cls(
            id=user.id,
            name=user.name or None,
            email=user.email or None,
            roles=sorted(user.roles),
            customer_id=user.customer_id,
            locale=user.locale,
        )


class SignedIn(Out):
    """`csrf_token` goes into the header X-CSRF-Token of every request that changes something."""

    user: UserOut
    csrf_token: str


class SessionOut(Out):
    id: UUID
    created_at: datetime
    last_seen_at: datetime
    expires_at: datetime
    device: str
    is_this_one: bool

    @classmethod
    def of(cls, session: Session, this: UUID) -> "SessionOut":
        return cls(
            id=session.id,
            created_at=session.created_at,
            last_seen_at=session.last_seen_at,
            expires_at=session.expires_at,
            device=session.device,
            is_this_one=session.id == this,
        )


class SessionsOut(Out):
    items: list[SessionOut]


class TokenOut(Out):
    access_token: str
    expires_in: int
    token_type: str = "Bearer"  # noqa: S105 - what it is, not a secret


class DatabaseHealth(Out):
    """`latency_ms` is the latency now, `mean_latency_ms` that of the last `mean_over_seconds`. They
    are null where nothing was measured. With a mean above `limit_ms` the status is `slow`.
    """

    is_reachable: bool
    latency_ms: float | None
    mean_latency_ms: float | None
    mean_over_seconds: int
    limit_ms: float


class HealthOut(Out):
    status: Literal["ok", "slow", "down"]
    database: DatabaseHealth


class RowErrorOut(Out):
    row: int
    field: str
    code: str
    reason: str


class SubmissionOut(Out):
    """A READY submission waits until the person who handed it in starts it. `errors` are listed
    only for a single submission.
    """

    id: UUID
    kind: str
    user_id: UUID
    name: str
    status: str
    total: int
    succeeded: int
    failed: int
    reason: str | None
    created_at: datetime
    finished_at: datetime | None
    errors: list[RowErrorOut]

    @classmethod
    def of(cls, submission: Submission) -> "SubmissionOut":
        return cls(
            id=submission.id,
            kind=submission.kind,
            user_id=submission.user_id,
            name=submission.name,
            status=submission.status.value,
            total=submission.total,
            succeeded=submission.succeeded,
            failed=submission.failed,
            reason=submission.reason and whole_text(submission.reason, SOURCE),
            created_at=submission.created_at,
            finished_at=submission.finished_at,
            errors=[
                RowErrorOut(
                    row=error.row,
                    field=error.field,
                    code=error.code,
                    reason=row_text(error, SOURCE),
                )
                for error in submission.errors
            ],
        )


class SubmissionPage(Out):
    items: list[SubmissionOut]
    next: str | None


class AuditOut(Out):
    sequence: int
    at: datetime
    actor: str
    action: str
    target: str
    result: str
    details: dict[str, Any]
    hash: str

    @classmethod
    def of(cls, audit: Audit) -> "AuditOut":
        return cls(
            sequence=audit.sequence,
            at=audit.entry.at,
            actor=audit.entry.actor,
            action=audit.entry.action,
            target=audit.entry.target,
            result=audit.entry.result.value,
            details=dict(audit.entry.details),
            hash=audit.hash.hex(),
        )


class AuditPage(Out):
    items: list[AuditOut]
    next: str | None


class ChainOut(Out):
    """`problem` is null where every entry is as it was written."""

    checked: int
    problem: str | None


class MomentOut(Out):
    """`ms` counts from the first event of the purchase. `direction` is forward or back."""

    position: int
    service: str
    type: str
    direction: str
    occurred_at: datetime
    ms: int
    details: dict[str, Any]

    @classmethod
    def of(cls, moment: Moment) -> "MomentOut":
        return cls(
            position=moment.position,
            service=moment.service,
            type=moment.type,
            direction="back" if moment.direction is Direction.COMPENSATION else "forward",
            occurred_at=moment.occurred_at,
            ms=moment.ms,
            details=dict(moment.details),
        )


class FinishedOut(Out):
    state: str


class TimelineOut(Out):
    order_id: UUID
    state: str
    is_finished: bool
    started_at: datetime
    events: list[MomentOut]

    @classmethod
    def of(cls, timeline: Timeline) -> "TimelineOut":
        """List the events in the order in which they happened."""
        moments = sorted(timeline.moments, key=lambda each: (each.occurred_at, each.position))
        return cls(
            order_id=timeline.purchase.id,
            state=timeline.purchase.state.value,
            is_finished=timeline.purchase.is_finished,
            started_at=timeline.purchase.started_at,
            events=[MomentOut.of(moment) for moment in moments],
        )
