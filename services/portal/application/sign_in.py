"""A user exchanges e-mail and password for a session. A refusal does not say which was wrong."""

from datetime import datetime, timedelta

from libs.kernel.ids import IdFactory
from services.portal.application.ports import (
    PasswordHasher,
    Place,
    PortalUnitOfWork,
    Transactions,
)
from services.portal.application.record_audit import record_audit
from services.portal.domain.audit import ANONYMOUS, Act, Result
from services.portal.domain.errors import SignInRefused, TooManyAttempts
from services.portal.domain.session import Session
from services.portal.domain.sign_in_limits import ATTEMPTS, WINDOW, wait_before_next_attempt
from services.portal.domain.user import MAX_PASSWORD, User


async def sign_in(
    transactions: Transactions,
    passwords: PasswordHasher,
    *,
    email: str,
    password: str,
    place: Place,
    device: str,
    token: str,
    lifetime: timedelta,
    new_id: IdFactory,
    now: datetime,
) -> User:
    """Begin a session. Raises SignInRefused, TooManyAttempts.

    The attempt is recorded before the password is checked, so that concurrent guesses count too. An
    attempt that is not allowed is not recorded, so that it does not extend the wait.
    """
    email = email.strip().lower()

    async def look_up(uow: PortalUnitOfWork) -> tuple[User | None, timedelta]:
        user = await uow.users.find_by_email(email)
        known = await uow.places.known(user.id if user else None, place)
        over = await uow.attempts.over(email, place.address, ATTEMPTS, WINDOW)
        wait = wait_before_next_attempt(
            over, known_browser=bool(known.browser), known_address=bool(known.address)
        )
        if not wait and not known.browser:
            await uow.attempts.add(email, place.address)
        return user, wait

    user, wait = await transactions.run(look_up)
    if wait:
        raise TooManyAttempts(wait)
    good = len(password) <= MAX_PASSWORD and await passwords.verify(
        password, user.password_hash if user else None
    )

    async def enter(uow: PortalUnitOfWork) -> bool:
        if user is None:
            return False
        result = Result.DONE if good else Result.REFUSED
        if good:
            session = Session(new_id(), user.id, now, now, now + lifetime, device)
            await uow.attempts.forget(email, place.address)
            await uow.places.remember(user.id, place)
            await uow.sessions.add(session, token)
        await record_audit(
            uow,
            act=Act(user.tenant_id, str(user.id) if good else ANONYMOUS, new_id(), now),
            action="user.signed_in",
            target=str(user.id),
            result=result,
        )
        return good

    if not await transactions.run(enter) or user is None:
        raise SignInRefused
    return user
