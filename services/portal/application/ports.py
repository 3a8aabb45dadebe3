"""What the use cases need from outside."""

from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol, TypeVar
from uuid import UUID

from libs.kernel.events import DomainEvent
from services.portal.domain.audit import Audit, ChainEnd, Entry
from services.portal.domain.sale import Sale
from services.portal.domain.session import Session
from services.portal.domain.sign_in_limits import Attempts, Over
from services.portal.domain.signing_key import SigningKey
from services.portal.domain.submission import Submission
from services.portal.domain.timeline import Fact, Purchase, Sought, Timeline
from services.portal.domain.user import User

Result = TypeVar("Result")


@dataclass(frozen=True)
class Wanted:
    """Which users are looked for; what is empty narrows nothing. `words`: all of them stand in the
    name, as `words_of` makes them. `email` in normal form.
    """

    words: frozenset[str] = frozenset()
    email: str = ""
    role: str = ""
    is_disabled: bool | None = None


EVERYBODY = Wanted()


@dataclass(frozen=True)
class WantedAudits:
    """Which audits are looked for; what is empty narrows nothing. `about`: ids of what it was done
    to, or of the purchase or message that its details name. `before` is not included.
    """

    action: str = ""
    actors: Sequence[str] = ()
    about: Sequence[str] = ()
    since: datetime | None = None
    before: datetime | None = None


EVERYTHING = WantedAudits()


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

    async def page(
        self, tenant_id: str, after: UUID | None, limit: int, wanted: Wanted = EVERYBODY
    ) -> list[User]:
        """Newest first, those before the user `after`."""

    async def of_customers(
        self, tenant_id: str, customer_ids: Collection[UUID]
    ) -> dict[UUID, UUID]:
        """The ids of the users who have these customer records, by record."""

    async def names(self, tenant_id: str, user_ids: Collection[UUID]) -> dict[UUID, str]:
        """Of those who are users; empty where one cannot be read."""

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


@dataclass(frozen=True)
class Place:
    """Where somebody signs in: the client's address, and what the browser's cookie says. Either may
    be empty.
    """

    address: str
    browser: str = field(repr=False)


class PlaceRepository(Protocol):
    """Where users have signed in."""

    async def known(self, user_id: UUID | None, place: Place) -> Place:
        """What of `place` the user has signed in from; the rest is empty."""

    async def remember(self, user_id: UUID, place: Place) -> None: ...

    async def forget(self, user_id: UUID, *, but: str = "") -> None:
        """All of the user's, but this browser."""


class AttemptRepository(Protocol):
    """Sign-ins that were tried and have not succeeded, by account and by address."""

    async def over(self, email: str, address: str, limits: Attempts, window: timedelta) -> Over:
        """How far this account and this address are over `limits` within `window`. Tries for one
        account or from one address wait for each other until the transaction ends.
        """

    async def add(self, email: str, address: str) -> None: ...

    async def forget(self, email: str, address: str) -> None:
        """The account's from this address, after a success."""

    async def forget_account(self, email: str) -> None:
        """The account's from everywhere."""


class ResetRepository(Protocol):
    """Tokens for a new password."""

    async def count(self, user_id: UUID) -> int:
        """How many of the user's are good."""

    async def add(self, user_id: UUID, token: str, lifetime: timedelta) -> None: ...

    async def holder(self, token: str) -> User | None:
        """Whose it is; None where it is no good one."""

    async def use(self, token: str) -> bool:
        """Whether it was good; it is not any more."""

    async def forget(self, user_id: UUID) -> None:
        """All of the user's."""


@dataclass(frozen=True)
class Mail:
    """`to` is an e-mail address."""

    user_id: UUID
    to: str = field(repr=False)
    subject: str
    text: str = field(repr=False)


class Mailer(Protocol):
    async def send(self, mail: Mail) -> None:
        """Hand the message over. Any exception: it is not on its way."""


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
        self,
        tenant_id: str,
        before: int | None,
        limit: int,
        wanted: WantedAudits = EVERYTHING,
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

    async def discard(self, submission_id: UUID) -> None:
        """Delete it, unless it has begun."""

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

    async def sought(
        self, tenant_id: str, sought: Sought, after: UUID | None, limit: int
    ) -> list[Purchase]:
        """Newest first, those before `after`."""

    async def sales(
        self,
        tenant_id: str,
        seller_id: UUID,
        after: UUID | None,
        limit: int,
        vehicle_id: UUID | None = None,
    ) -> list[Sale]:
        """A seller's, newest first, those before the purchase `after`; of one vehicle only where
        one is given.
        """

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
    def places(self) -> PlaceRepository: ...
    @property
    def resets(self) -> ResetRepository: ...
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
