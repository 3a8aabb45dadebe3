"""The use cases need these ports: repositories, mail, passwords and transactions."""

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
    """A search for users ignores an empty field. All `words` (made by `words_of`) must be in the
    name. `email` is in normal form.
    """

    words: frozenset[str] = frozenset()
    email: str = ""
    role: str = ""
    is_disabled: bool | None = None


EVERYBODY = Wanted()


@dataclass(frozen=True)
class WantedAudits:
    """A search for audits ignores an empty field. `about` holds ids of the target, or of the
    purchase or message that the details name. `before` is exclusive.
    """

    action: str = ""
    actors: Sequence[str] = ()
    about: Sequence[str] = ()
    since: datetime | None = None
    before: datetime | None = None


EVERYTHING = WantedAudits()


class UserRepository(Protocol):
    async def add(self, user: User) -> None:
        """Insert the user. Raises EmailTaken, also when a user of another tenant has the e-mail."""

    async def get(self, tenant_id: str, user_id: UUID) -> User:
        """Return the user. Raises UserNotFound."""

    async def lock(self, tenant_id: str, user_id: UUID) -> User:
        """Return the user and lock the row until the transaction ends. Raises UserNotFound."""

    async def find_by_email(self, email: str) -> User | None:
        """Return the user of any tenant with this e-mail, which is in normal form."""

    async def save(self, user: User) -> None:
        """Write the changes of a locked user."""

    async def lock_admins(self, tenant_id: str) -> int:
        """Return the number of the tenant's admins, and keep it until the transaction ends."""

    async def page(
        self, tenant_id: str, after: UUID | None, limit: int, *, wanted: Wanted = EVERYBODY
    ) -> list[User]:
        """Return users before the user `after`, newest first."""

    async def of_customers(
        self, tenant_id: str, customer_ids: Collection[UUID]
    ) -> dict[UUID, UUID]:
        """Return the ids of the users who have these customer records, by record."""

    async def names(self, tenant_id: str, user_ids: Collection[UUID]) -> dict[UUID, str]:
        """Return the names of those ids that are users. An unreadable name is empty."""

    async def customer_is_erased(self, customer_id: UUID) -> bool: ...

    async def erase_customer(self, tenant_id: str, customer_id: UUID) -> list[UUID]:
        """Delete the users of that customer with their sessions, and remember the erasure."""


class SessionRepository(Protocol):
    async def add(self, session: Session, token: str) -> None: ...

    async def find(self, token: str) -> tuple[Session, User] | None:
        """Return the session and its user, or None if it has ended or was unused for too long."""

    async def find_user(self, session_id: UUID) -> User | None:
        """Return the user of the session, or None when it has ended. This does not count as use."""

    async def of_user(self, user_id: UUID) -> list[Session]:
        """Return the user's sessions that have not ended, newest first."""

    async def end(self, user_id: UUID, session_id: UUID) -> bool:
        """End the session. Returns whether there was one."""

    async def end_all(self, user_id: UUID, *, but: UUID | None = None) -> None: ...


@dataclass(frozen=True)
class Place:
    """A place is where a user signs in: the client's address, and the value of the browser's
    cookie. Either may be empty.
    """

    address: str
    browser: str = field(repr=False)


class PlaceRepository(Protocol):
    """This repository holds the places from which users have signed in."""

    async def known(self, user_id: UUID | None, place: Place) -> Place:
        """Return `place` with only those parts from which the user has signed in before."""

    async def remember(self, user_id: UUID, place: Place) -> None: ...

    async def forget(self, user_id: UUID, *, but: str = "") -> None:
        """Delete all places of the user except this browser."""


class AttemptRepository(Protocol):
    """This repository holds sign-ins without success, by account and by address."""

    async def over(self, email: str, address: str, limits: Attempts, window: timedelta) -> Over:
        """Return how far this account and this address exceed `limits` within `window`. Attempts
        for one account or from one address wait for each other until the transaction ends.
        """

    async def add(self, email: str, address: str) -> None: ...

    async def forget(self, email: str, address: str) -> None:
        """Delete the account's attempts from this address, after a success."""

    async def forget_account(self, email: str) -> None:
        """Delete the account's attempts from all addresses."""


class ResetRepository(Protocol):
    """This repository holds the tokens for a new password."""

    async def count(self, user_id: UUID) -> int:
        """Return the number of the user's valid tokens."""

    async def add(self, user_id: UUID, token: str, lifetime: timedelta) -> None: ...

    async def find_user(self, token: str) -> User | None:
        """Return the user of the token, or None where it is not valid."""

    async def use(self, token: str) -> bool:
        """Use the token up. Returns whether it was valid."""

    async def forget(self, user_id: UUID) -> None:
        """Delete all tokens of the user."""


@dataclass(frozen=True)
class Mail:
    """`to` is an e-mail address."""

    user_id: UUID
    to: str = field(repr=False)
    subject: str
    text: str = field(repr=False)


class Mailer(Protocol):
    async def send(self, mail: Mail) -> None:
        """Hand the message over. Any exception means that it will not be delivered."""


class KeyRepository(Protocol):
    async def lock_all(self) -> Sequence[SigningKey]:
        """Return the published keys, the newest last. No other transaction adds one meanwhile."""

    async def add(self, key: SigningKey) -> None: ...

    async def retire(self, key_id: UUID, at: datetime) -> None: ...

    async def forget(self, retired_before: datetime) -> None: ...


class AuditRepository(Protocol):
    async def add(self, entry: Entry, audit_id: UUID) -> Audit:
        """Add the next entry to the tenant's chain. Entries of one tenant wait for each other."""

    async def page(
        self, tenant_id: str, after: int | None, limit: int, *, wanted: WantedAudits = EVERYTHING
    ) -> list[Audit]:
        """Return entries before the number `after`, newest first."""

    async def hold(self) -> None:
        """Show the transaction one state of all audits to its end, whatever others write or drop.
        This must come before the transaction reads anything.
        """

    async def start(self, tenant_id: str) -> ChainEnd:
        """Return the end of the chain before the first entry still kept."""

    async def end(self, tenant_id: str) -> ChainEnd: ...

    def entries(self, tenant_id: str) -> AsyncIterator[Audit]:
        """Yield all entries still kept, in order."""


class SubmissionRepository(Protocol):
    async def add(self, submission: Submission, content: bytes, digest: bytes) -> Submission:
        """Add the submission. Where one of this kind with the same content (`digest`) is running,
        return that one and add nothing.
        """

    async def get(self, tenant_id: str, submission_id: UUID) -> Submission:
        """Return the submission. Raises SubmissionNotFound."""

    async def lock(self, tenant_id: str, submission_id: UUID) -> Submission:
        """Return the submission, locked. Raises SubmissionNotFound."""

    async def save(self, submission: Submission) -> None:
        """Write a locked submission, which is due again after its pause. A finished one loses its
        content, and the same content may be handed in again.
        """

    async def content(self, submission_id: UUID) -> bytes:
        """Return the content that was handed in, which is empty once the submission is finished."""

    async def discard(self, submission_id: UUID) -> None:
        """Delete the submission, unless it has begun."""

    async def find_due(self, kind: str) -> Submission | None:
        """Return the due submission that has waited longest, so that all take turns."""

    async def page(
        self, tenant_id: str, after: UUID | None, limit: int, *, user_id: UUID | None = None
    ) -> list[Submission]:
        """Return submissions before `after`, newest first; only those of one user where one is
        given.
        """


class TimelineRepository(Protocol):
    def note(self, fact: Fact) -> None:
        """Keep the event to write it at the end of the transaction, together with others."""

    async def find_purchase(self, tenant_id: str, order_id: UUID) -> Purchase | None: ...

    async def search(
        self, tenant_id: str, sought: Sought, after: UUID | None, limit: int
    ) -> list[Purchase]:
        """Return the purchases before `after` that match the search, newest first."""

    async def page_sales(
        self,
        tenant_id: str,
        after: UUID | None,
        limit: int,
        *,
        seller_id: UUID,
        vehicle_id: UUID | None = None,
    ) -> list[Sale]:
        """Return a seller's sales before the purchase `after`, newest first; only those of one
        vehicle where one is given.
        """

    async def find(self, tenant_id: str, subject_id: UUID, after: int = 0) -> Timeline | None:
        """Return the timeline with the events after position `after`, in order."""


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
    """Some work takes several transactions, with slow work between them."""

    async def run(self, work: Callable[[PortalUnitOfWork], Awaitable[Result]]) -> Result: ...


class PasswordHasher(Protocol):
    async def hash(self, password: str) -> str: ...

    async def verify(self, password: str, password_hash: str | None) -> bool:
        """Return whether it matches. None is an unknown account, which takes as long as a wrong
        password.
        """
