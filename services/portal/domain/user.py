"""A user signs in, and has roles that permit actions."""

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from email_validator import EmailNotValidError, validate_email

from services.portal.domain.errors import (
    CustomerLinked,
    InvalidEmail,
    InvalidLocale,
    InvalidName,
    InvalidRoles,
    NothingKept,
    PasswordGuessable,
    PasswordIsEmail,
    PasswordLength,
)
from services.portal.domain.guessable import is_guessable

BUYER, SELLER, OPERATOR, ADMIN = "buyer", "seller", "operator", "admin"
ROLES = frozenset({BUYER, SELLER, OPERATOR, ADMIN})
LOCALES = ("en", "pt", "es")

NO_PASSWORD = "disabled"  # noqa: S105  # nosec B105  # no hash of anything
MAX_NAME = 200
MIN_PASSWORD, MAX_PASSWORD = 10, 128


@dataclass
class User:
    """`customer_id` is the buyer's own record in customers. `name` and `email` are empty where the
    stored value cannot be read, and stay out of the repr and so of logs. `kept_hash` keeps the
    password's hash while the user is disabled.
    """

    id: UUID
    tenant_id: str
    name: str = field(repr=False)
    email: str = field(repr=False)
    roles: frozenset[str]
    customer_id: UUID | None
    locale: str
    password_hash: str = field(repr=False)
    created_at: datetime
    kept_hash: str | None = field(default=None, repr=False)

    def may(self, *roles: str) -> bool:
        """Return whether the user has one of these roles."""
        return not self.roles.isdisjoint(roles)

    @property
    def is_disabled(self) -> bool:
        return self.password_hash == NO_PASSWORD

    @property
    def can_be_enabled(self) -> bool:
        """Return whether the password from before is still stored."""
        return self.is_disabled and self.kept_hash is not None

    def disable(self) -> None:
        """Accept no password until an admin enables the user or sets a new one."""
        if not self.is_disabled:
            self.kept_hash, self.password_hash = self.password_hash, NO_PASSWORD

    def enable(self) -> None:
        """Accept the password from before again. Raises NothingKept where none is stored."""
        if self.kept_hash is None:
            raise NothingKept(field="enable")
        self.set_password(self.kept_hash)

    def set_password(self, password_hash: str) -> None:
        """Set the password, which also enables a disabled user."""
        self.password_hash, self.kept_hash = password_hash, None

    def link_customer(self, customer_id: UUID) -> None:
        """Set the customer. Raises CustomerLinked when the user has another one already."""
        if self.customer_id not in (None, customer_id):
            raise CustomerLinked
        self.customer_id = customer_id


def normal_name(text: str) -> str:
    """Return the name with single spaces, at most 200 characters. Raises InvalidUser."""
    name = " ".join(text.split())
    if not name or len(name) > MAX_NAME or not name.isprintable():
        raise InvalidName(field="name", most=MAX_NAME)
    return name


def words_of(name: str) -> frozenset[str]:
    """Return the words of a name as searches use them: lower case, without accents."""
    plain = unicodedata.normalize("NFKD", name.casefold())
    letters = "".join(each for each in plain if not unicodedata.combining(each))
    return frozenset(re.findall(r"\w+", letters))


def normal_email(text: str) -> str:
    """Return the address in lower case, whether or not its domain exists. Raises InvalidUser."""
    try:
        return validate_email(text, check_deliverability=False).normalized.lower()
    except EmailNotValidError as error:
        raise InvalidEmail(field="email") from error


def check_password(password: str, *, email: str) -> None:
    """Raise InvalidUser unless the password is long enough, differs from the e-mail, and is not
    easy to guess.
    """
    if not MIN_PASSWORD <= len(password) <= MAX_PASSWORD:
        raise PasswordLength(field="password", least=MIN_PASSWORD, most=MAX_PASSWORD)
    if password.lower() in (email, email.partition("@")[0]):
        raise PasswordIsEmail(field="password")
    if is_guessable(password):
        raise PasswordGuessable(field="password")


def known_roles(names: Iterable[str]) -> frozenset[str]:
    """Return the roles. Raises InvalidUser where there is none, or an unknown one."""
    roles = frozenset(names)
    if not roles or not roles <= ROLES:
        raise InvalidRoles(field="roles", known=", ".join(sorted(ROLES)))
    return roles


def known_locale(locale: str) -> str:
    """Return the locale. Raises InvalidUser."""
    if locale not in LOCALES:
        raise InvalidLocale(field="locale", known=", ".join(LOCALES))
    return locale
