"""E-mail and password against a session. Nobody learns which of both was wrong."""

from datetime import datetime, timedelta

from libs.kernel.ids import IdFactory
from services.portal.application.ports import PasswordHasher, PortalUnitOfWork, Transactions
from services.portal.application.record_audit import record_audit
from services.portal.domain.audit import Result
from services.portal.domain.errors import SignInRefused, TooManyAttempts
from services.portal.domain.session import Session
from services.portal.domain.user import MAX_PASSWORD, User

WINDOW = timedelta(minutes=15)
ATTEMPTS_PER_ACCOUNT = 5
ATTEMPTS_PER_ADDRESS = 50


async def sign_in(
    transactions: Transactions,
    passwords: PasswordHasher,
    *,
    email: str,
    password: str,
    address: str,
    device: str,
    token: str,
    lifetime: timedelta,
    new_id: IdFactory,
    now: datetime,
) -> User:
    """Raises SignInRefused, TooManyAttempts.

    The attempt is written down before the password is looked at: guesses side by side count too.
    """
    email = email.strip().lower()

    async def look_up(uow: PortalUnitOfWork) -> tuple[User | None, bool]:
        by_account, by_address = await uow.attempts.add(email, address, WINDOW)
        allowed = by_account <= ATTEMPTS_PER_ACCOUNT and by_address <= ATTEMPTS_PER_ADDRESS
        return await uow.users.find_by_email(email), allowed

    user, allowed = await transactions.run(look_up)
    if not allowed:
        raise TooManyAttempts("too many sign-ins failed; try again in a quarter of an hour")
    good = len(password) <= MAX_PASSWORD and await passwords.verify(
        password, user.password_hash if user else None
    )

    async def enter(uow: PortalUnitOfWork) -> bool:
        if user is None:
            return False
        result = Result.DONE if good else Result.REFUSED
        if good:
            session = Session(new_id(), user.id, now, now, now + lifetime, device)
            await uow.attempts.forget(email)
            await uow.sessions.add(session, token)
        await record_audit(
            uow,
            audit_id=new_id(),
            tenant_id=user.tenant_id,
            actor=str(user.id) if good else "anonymous",
            action="user.signed_in",
            target=str(user.id),
            result=result,
            now=now,
        )
        return good

    if not await transactions.run(enter) or user is None:
        raise SignInRefused("e-mail or password is wrong")
    return user
