"""The portal refuses requests with these errors."""

from datetime import timedelta
from math import ceil

from libs.kernel.errors import Conflict, Invalid, NotFound, TooMany, Unidentified


class UserNotFound(NotFound):
    """The tenant has no such user, or the user was erased."""

    code = "user-not-found"
    text = "There is no such user."


class EmailTaken(Conflict):
    """A user with this e-mail exists already."""

    code = "email-taken"
    text = "Somebody signs in with this e-mail already."


class InvalidUser(Invalid):
    """The value is not valid for its field. The message never repeats the value."""


class InvalidName(InvalidUser):
    code = "invalid-text"
    text = "It is 1 to {most} printable characters."


class InvalidEmail(InvalidUser):
    code = "invalid-email"
    text = "This is no e-mail address."


class PasswordLength(InvalidUser):
    code = "password-length"
    text = "A password has {least} to {most} characters."


class PasswordIsEmail(InvalidUser):
    code = "password-is-email"
    text = "The password must not be the e-mail."


class PasswordGuessable(InvalidUser):
    code = "password-guessable"
    text = "This password is too easy to guess."


class InvalidRoles(InvalidUser):
    code = "invalid-roles"
    text = "Choose at least one role: {known}."


class InvalidLocale(InvalidUser):
    code = "invalid-locale"
    text = "Languages are {known}."


class LastAdmin(Conflict):
    """The tenant would be left without an admin."""

    code = "last-admin"
    text = "Somebody else has to be an admin first."


class NothingKept(Conflict):
    """No password is stored for a disabled user, so an admin has to set a new one."""

    code = "no-password-kept"
    text = "No password is kept of a disabled user: set a new one."


class CustomerLinked(Conflict):
    """The user has a customer record already."""

    code = "customer-linked"
    text = "You are registered as a customer already."


class CustomerErased(Conflict):
    code = "customer-erased"
    text = "This customer was erased."


class SignInRefused(Unidentified):
    """The e-mail is unknown or the password is wrong; the error does not say which."""

    code = "sign-in-refused"
    text = "E-mail or password is wrong."


class TooManyAttempts(TooMany):
    """Too many recent sign-ins failed for the account or from the address. `wait` is the time until
    another attempt is allowed.
    """

    code = "too-many-attempts"
    text = "Too many sign-ins failed. Try again in {minutes} minutes."

    def __init__(self, wait: timedelta) -> None:
        super().__init__(minutes=ceil(wait / timedelta(minutes=1)))
        self.wait = wait


class ResetRefused(Conflict):
    """The token for a new password was used, has expired, or never existed."""

    code = "reset-refused"
    text = "This link is no longer good."


class SubmissionNotFound(NotFound):
    """The tenant has no such submission."""

    code = "submission-not-found"
    text = "There is no such submission."


class SubmissionFinished(Conflict):
    """The submission is finished, or has not begun, so its progress cannot change."""

    code = "submission-finished"
    text = "The submission is finished."


class PurchaseNotFound(NotFound):
    """The tenant has no such purchase, or it is not the caller's own."""

    code = "purchase-not-found"
    text = "There is no such purchase."
