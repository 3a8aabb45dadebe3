"""What the portal refuses, and why."""

from datetime import timedelta

from libs.kernel.errors import Conflict, DomainError, Invalid, NotFound


class UserNotFound(NotFound):
    """No such user for this tenant, or erased."""

    code = "user-not-found"


class EmailTaken(Conflict):
    """Somebody signs in with this e-mail already."""

    code = "email-taken"


class InvalidUser(Invalid):
    """A name, e-mail, password, role or language that cannot be one. Never repeats the value."""

    code = "invalid-user"


class LastAdmin(Conflict):
    """The tenant would be left without an admin."""

    code = "last-admin"


class NothingKept(Conflict):
    """No password is kept of a disabled user: an admin has to set a new one."""

    code = "no-password-kept"


class CustomerLinked(Conflict):
    """The user has a customer record already, or the record was erased."""

    code = "customer-linked"


class SignInRefused(DomainError):
    """Unknown e-mail or wrong password: it does not say which."""

    code = "sign-in-refused"


class TooManyAttempts(DomainError):
    """Too many sign-ins failed lately for the account or from the address. `wait`: how long yet."""

    code = "too-many-attempts"

    def __init__(self, wait: timedelta) -> None:
        super().__init__("too many sign-ins failed; try again in a quarter of an hour")
        self.wait = wait


class ResetRefused(DomainError):
    """The token for a new password was used, has expired, or never was one."""

    code = "reset-refused"


class SubmissionNotFound(NotFound):
    """No such submission for this tenant."""

    code = "submission-not-found"


class SubmissionFinished(Conflict):
    """It is through, or has not begun: its progress cannot change."""

    code = "submission-finished"


class PurchaseNotFound(NotFound):
    """No such purchase for this tenant, or not the caller's own."""

    code = "purchase-not-found"
