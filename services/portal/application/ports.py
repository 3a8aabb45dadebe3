"""What the use cases need from outside."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from typing import Protocol, TypeVar
from uuid import UUID

from libs.kernel.events import DomainEvent
from services.portal.domain.audit import Audit, ChainEnd, Entry
from services.portal.domain.session import Session
from services.portal.domain.signing_key import SigningKey
from services.portal.domain.submission import Submission
from services.portal.domain.timeline import Fact, Purchase, Timeline
from services.portal.domain.user import User

Result = TypeVar("Result")


class UserRepository(Protocol):
    async def add(self, user: User) -> None:
        """Raises EmailTaken, also when another tenant's user has it."""

    async def get(self, tenant_id: str, user_id: UUID) -> User:
        """Raises UserNotFound."""

    async def lock(self, tenant_id: str, user_id: UUID) -> User:
        """Like `get`, and nobody else changes it until we are done. Raises UserNotFound."""

    async def find_by_email(self, email: str) -> User | None:
        """`email` in normal form; of any tenant."""

    async def save(self, user: User) -> None:
        """Write back a locked user."""

    async def lock_admins(self, tenant_id: str) -> int:
        """How many admins the tenant has; none is added or removed until we are done."""

    async def page(self, tenant_id: str, after: UUID | None, limit: int) -> list[User]:
        """Newest first, those before the user `after`."""

    async def customer_is_erased(self, customer_id: UUID) -> bool: ...

    async def erase_customer(self, tenant_id: str, customer_id: UUID) -> list[UUID]:
        """Delete the users of that customer with their sessions, and remember the erasure."""


class SessionRepository(Protocol):
    async def add(self, session: Session, token: str) -> None: ...

    async def user_of(self, token: str) -> tuple[Session, User] | None:
        """None when there is none, it ended, or it was unused for too long."""

    async def holder(self, session_id: UUID) -> User | None:
        """Whose session it is; None when it is over. It does not count as use."""

    async def of_user(self, user_id: UUID) -> list[Session]:
        """Those that have not ended, the newest first."""

    async def end(self, user_id: UUID, session_id: UUID) -> bool:
        """Whether there was one."""

    async def end_all(self, user_id: UUID, *, but: UUID | None = None) -> None: ...


class AttemptRepository(Protocol):
    """Sign-ins that were tried, by account and by address."""

    async def add(self, email: str, address: str, within: timedelta) -> tuple[int, int]:
        """Note one more; how many there were `within` this time, by account and by address,
        this one included. Tries for one account or from one address wait for each other.
        """

    async def forget(self, email: str) -> None:
        """The account's, after a success."""


class KeyRepository(Protocol):
    async def lock_all(self) -> Sequence[SigningKey]:
        """Those still published, the newest last; no other transaction adds one meanwhile."""

    async def add(self, key: SigningKey) -> None: ...

    async def retire(self, key_id: UUID, at: datetime) -> None: ...

    async def forget(self, retired_before: datetime) -> None: ...


class AuditRepository(Protocol):
    async def append(self, entry: Entry, audit_id: UUID) -> Audit:
        """The next in the tenant's chain; entries of one tenant wait for each other."""

    async def page(
        self, tenant_id: str, before: int | None, limit: int, action: str | None = None
    ) -> list[Audit]:
        """Newest first, those before the number `before`."""

    async def hold(self) -> None:
        """From now to its end the transaction sees one state of all audits, whoever writes or drops
        some meanwhile. Called before the transaction reads anything.
        """

    async def start(self, tenant_id: str) -> ChainEnd:
        """What comes before the first entry still kept."""

    async def end(self, tenant_id: str) -> ChainEnd: ...

    def entries(self, tenant_id: str) -> AsyncIterator[Audit]:
        """All that are kept, in order."""


class SubmissionRepository(Protocol):
    async def add(self, submission: Submission, content: bytes, digest: bytes) -> Submission:
        """Where the same content (`digest`) of this kind is running: that one, and nothing is
        added.
        """

    async def get(self, tenant_id: str, submission_id: UUID) -> Submission:
        """Raises SubmissionNotFound."""

    async def lock(self, tenant_id: str, submission_id: UUID) -> Submission:
        """Raises SubmissionNotFound."""

    async def save(self, submission: Submission) -> None:
        """Write back a locked one, due again after its pause. A finished one loses its content,
        and the same content may be handed in anew.
        """

    async def content(self, submission_id: UUID) -> bytes:
        """What was handed in; empty once finished."""

    async def next_due(self, kind: str) -> Submission | None:
        """Of those that run and are due the one that has waited longest: they take turns."""

    async def page(
        self, tenant_id: str, after: UUID | None, limit: int, user_id: UUID | None = None
    ) -> list[Submission]:
        """Newest first, those before `after`; of one user only where one is given."""


class TimelineRepository(Protocol):
    def note(self, fact: Fact) -> None:
        """Put off to the end of the transaction: many are written at once."""

    async def purchase(self, tenant_id: str, order_id: UUID) -> Purchase | None: ...

    async def purchases(
        self, tenant_id: str, after: UUID | None, limit: int, customer_id: UUID | None = None
    ) -> list[Purchase]:
        """Newest first (ids are made in time), those before `after`."""

    async def vehicles_of(
        self, tenant_id: str, seller_id: UUID, after: UUID | None, limit: int
    ) -> list[UUID]:
        """The vehicles a seller has put on the market, newest first, those before `after`."""

    async def of(self, tenant_id: str, subject_id: UUID, after: int = 0) -> Timeline | None:
        """What was heard after position `after`, in that order."""


class PortalUnitOfWork(Protocol):
    @property
    def users(self) -> UserRepository: ...
    @property
    def sessions(self) -> SessionRepository: ...
    @property
    def attempts(self) -> AttemptRepository: ...
    @property
    def keys(self) -> KeyRepository: ...
    @property
    def audits(self) -> AuditRepository: ...
    @property
    def submissions(self) -> SubmissionRepository: ...
    @property
    def timeline(self) -> TimelineRepository: ...

    def publish(self, *events: DomainEvent) -> None: ...


class Transactions(Protocol):
    """For what takes more than one transaction, with slow work between them."""

    async def run(self, work: Callable[[PortalUnitOfWork], Awaitable[Result]]) -> Result: ...


class PasswordHasher(Protocol):
    async def hash(self, password: str) -> str: ...

    async def verify(self, password: str, password_hash: str | None) -> bool:
        """None: no such account. It takes as long as a wrong password."""
