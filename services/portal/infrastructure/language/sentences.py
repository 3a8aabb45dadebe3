"""People read a sentence for each code with which a service or the portal's domain refuses. A
service's own English text is for programmers and is not shown.
"""

from collections.abc import Mapping
from typing import Self

from babel.numbers import format_currency

from libs.kernel.errors import CodedError
from services.portal.infrastructure.language.i18n import REGIONS, marked, translated

Params = Mapping[str, str | int]

UNREADABLE = marked("Something in the address or the form could not be read.")
NOT_THERE = marked("It does not exist, or it is not yours to see.")
ROLE = marked("Your account does not have the role for it, or the page is out of date.")
LATER = marked("A service behind this page is not answering. Nothing is lost: try again.")
MOVED_ON = marked("Somebody else changed it in the meantime: reload the page.")
TEXT_LENGTH = marked("Write 1 to %(most)s printable characters.")
UNDER_WAY = marked("A call is under way at this moment. Try again in a few seconds.")
NOT_POSSIBLE = marked("That is not possible as things stand now.")
FOREIGN = marked("This belongs to somebody else.")
OTHERWISE = marked("That did not work. Check what you wrote, and try again.")
"""A code that this version of the portal does not know has this text."""

SENTENCES: Mapping[str, str] = {
    # any request
    "bad-request": UNREADABLE,
    "malformed-json": UNREADABLE,
    "malformed-request": UNREADABLE,
    "unknown-parameter": UNREADABLE,
    "repeated-parameter": UNREADABLE,
    "http-error": UNREADABLE,
    "unsupported-encoding": UNREADABLE,
    "no-such-path": NOT_THERE,
    "not-found": NOT_THERE,
    "method-not-allowed": NOT_THERE,
    "unauthenticated": marked("Sign in first."),
    "forbidden": ROLE,
    "other-tenant": FOREIGN,
    "csrf": marked("The page was out of date. Reload it and repeat."),
    "foreign-page": marked("Sign in from a page of the market."),
    "conflict": NOT_POSSIBLE,
    "stale-version": MOVED_ON,
    "precondition-required": MOVED_ON,
    "idempotency-key-reused": marked("This form was sent before with other content: reload it."),
    "idempotency-key-in-flight": UNDER_WAY,
    "request-timeout": marked("Sending took too long. Try again."),
    "body-too-large": marked("This is too large to be sent."),
    "message-too-large": marked("This is too large to be sent."),
    "internal": LATER,
    "unavailable": LATER,
    "busy": LATER,
    "outbox-backlog": LATER,
    "too-many-streams": LATER,
    # one field
    "invalid": OTHERWISE,
    "invalid-input": OTHERWISE,
    "malformed": marked("This cannot be read."),
    "missing": marked("This field is required."),
    "unknown-field": UNREADABLE,
    "cannot-be-null": marked("This field is required."),
    "cannot-be-stored": marked("This holds a character or a number that cannot be stored."),
    "too-short": marked("Write at least %(least)s characters."),
    "too-long": marked("Write %(most)s characters at most."),
    "too-small": marked("The lowest value is %(least)s."),
    "too-large": marked("The highest value is %(most)s."),
    "not-one-of": marked("Choose one of the options."),
    "invalid-text": TEXT_LENGTH,
    # customers
    "customer-not-found": marked("There is no such customer."),
    "invalid-email": marked("Write a valid e-mail address."),
    "invalid-phone": marked("Write a valid phone number."),
    "invalid-document": marked("Write a valid CPF or CNPJ."),
    "document-or-email": marked("Give either a document or an e-mail."),
    "document-taken": marked("Another customer has this document."),
    "registered-already": marked("You are registered already."),
    "registered-with-another-document": marked(
        "You are registered already, with another document. It cannot be changed here."
    ),
    "not-yourself": FOREIGN,
    "personal-data-unreadable": marked(
        "Some of the stored data cannot be read, so it cannot be changed now. Please tell an"
        " administrator."
    ),
    "credit-request-too-low": marked("Ask for more than the limit you have."),
    "no-credit-request": marked("There is no request for credit to answer any more."),
    "credit-limit-below-use": marked(
        "The limit is at least %(used_cents)s: so much of it is in use."
    ),
    "customer-has-open-purchases": marked("The customer has a purchase that has not ended."),
    # orders
    "order-not-found": marked("There is no such purchase."),
    "purchase-not-found": marked("There is no such purchase."),
    "incomplete-purchase": marked("A purchase names a customer and a vehicle."),
    "order-not-draft": NOT_POSSIBLE,
    "order-not-confirmed": NOT_POSSIBLE,
    "order-already-closed": marked("The vehicle was picked up: the purchase cannot be changed."),
    "purchase-not-completed": marked("The vehicle cannot be picked up yet, or not any more."),
    "purchase-already-failed": marked("The purchase has failed: there is nothing to cancel."),
    "too-many-open-purchases": marked(
        "You have %(most)s open purchases: pay or cancel one of them first."
    ),
    "not-your-customer": FOREIGN,
    "no-customer-record": marked("Register as a customer first."),
    # vehicles
    "vehicle-not-found": marked("There is no such vehicle."),
    "seller-not-found": marked("There is no such seller."),
    "not-your-vehicle": FOREIGN,
    "vehicle-reserved": marked(
        "A purchase holds the vehicle: only its colour may be changed, and it cannot be withdrawn"
        " now."
    ),
    "vehicle-sold": marked("The vehicle is sold and cannot be changed any more."),
    "vehicle-withdrawn": marked("The vehicle was withdrawn and cannot be changed any more."),
    "vehicle-already-listed": marked("Another vehicle for sale has this number already."),
    "year-out-of-range": marked("The year is between %(least)s and %(most)s."),
    "price-out-of-range": marked("The price is between %(least_cents)s and %(most_cents)s."),
    "invalid-plate": marked("A plate reads ABC1234 or, since Mercosul, ABC1D23."),
    "invalid-chassis-number": marked(
        "A chassis number has 17 letters and digits, none of them I, O or Q. Up to model year"
        " %(last_short_year)s it may have 4 to 16."
    ),
    "wrong-chassis-check-digit": marked("The check digit of the chassis number is wrong."),
    "invalid-renavam": marked("A RENAVAM has eleven digits."),
    "wrong-renavam-check-digit": marked("The check digit of the RENAVAM is wrong."),
    # payments and payouts
    "payment-not-found": marked("There is no such payment."),
    "payment-code-not-found": marked("There is no such payment code."),
    "payment-code-mistyped": marked("The payment code is mistyped."),
    "payment-code-expired": marked("The payment code has expired."),
    "payment-code-voided": marked("The purchase was cancelled, and its payment code with it."),
    "refund-not-failed": NOT_POSSIBLE,
    "charge-not-unanswered": NOT_POSSIBLE,
    "charge-in-flight": UNDER_WAY,
    "refund-in-flight": UNDER_WAY,
    "reference-and-outcome": marked("Money that has moved has a reference, and no other has."),
    "payout-not-found": marked("There is no such payout."),
    "external-id-reserved": marked("Names that begin with %(prefix)s are those of purchases."),
    "payout-not-failed": NOT_POSSIBLE,
    "payout-not-unanswered": NOT_POSSIBLE,
    "payout-in-flight": UNDER_WAY,
    "no-seller": ROLE,
    # KPIs
    "kpi-not-found": marked("There is no such KPI."),
    "kpi-exists": marked("There is a KPI with this id already."),
    "kpi-id-taken": marked("This id cannot be used. Choose another one."),
    "month-missing": marked("Choose a month."),
    "kpi-not-computable": marked("The database cannot compute it: %(error)s"),
    "kpi-cell-is-no-figure": marked("A column of the result can be neither shown nor drawn."),
    "kpi-too-slow": marked("It takes longer than %(seconds)s seconds and was stopped."),
    "kpi-too-large": marked(
        "The result is too large: at most %(rows)s rows and %(columns)s columns."
    ),
    "unsafe-template": marked("The query is not allowed."),
    "template-too-long": marked("The query is longer than %(most)s characters."),
    "template-too-deep": marked("The query is nested more than %(most)s deep."),
    "template-unreadable": marked("The query cannot be read as SQL."),
    "template-not-one-select": marked("The query has to be a single SELECT."),
    "template-name-not-plain": marked(
        "Names in the query have small letters, digits and underscores only."
    ),
    "template-part-not-allowed": marked("%(name)s is not allowed in the query."),
    "template-literal-not-plain": marked("Values in the query are plain numbers or plain text."),
    "template-alias-renames-columns": marked("An alias cannot rename columns."),
    "template-unknown-parameter": marked("The only parameter is :month."),
    "template-with-misplaced": marked("WITH stands at the very beginning and is not recursive."),
    "template-with-name-taken": marked("A part of WITH cannot be named %(name)s."),
    "template-table-not-plain": marked("Write the name of a table alone."),
    "template-unknown-table": marked("There is no table %(name)s. There are: %(known)s."),
    "template-unknown-column": marked("There is no column %(name)s."),
    # events given up
    "given-up-event-not-found": marked("This event is no longer given up."),
    "copy-may-be-handled": marked(
        "Nothing tells any more whether it was handled. Check its purchase first."
    ),
    "event-cannot-be-sent-again": marked("This event cannot be sent again."),
    # users
    "user-not-found": marked("There is no such user."),
    "email-taken": marked("Somebody signs in with this e-mail already."),
    "password-length": marked("A password has %(least)s to %(most)s characters."),
    "password-is-email": marked("The password must not be your e-mail."),
    "password-guessable": marked("This password is too easy to guess."),
    "invalid-roles": marked("Choose at least one role."),
    "invalid-locale": marked("Choose a language."),
    "no-password-kept": marked("No password is kept of this user: set a new one."),
    "last-admin": marked("Somebody else has to be an administrator first."),
    "customer-linked": marked("You are registered as a customer already."),
    "customer-erased": marked("This customer was erased."),
    "sign-in-refused": marked("E-mail or password is wrong."),
    "too-many-attempts": marked("Too many sign-ins failed. Try again in %(minutes)s minutes."),
    "reset-refused": marked("This link is no longer good."),
    "session-not-found": NOT_THERE,
    "submission-not-found": NOT_THERE,
    "file-refused": marked("The file as a whole cannot be read."),
    "submission-finished": NOT_POSSIBLE,
}


class Said(str):
    """A refusal has its English text, and the code and the parameters from which a page makes the
    text in its reader's language.
    """

    __slots__ = ("code", "params")

    code: str
    params: Params

    def __new__(cls, text: str, code: str, params: Params | None = None) -> Self:
        said = super().__new__(cls, text or code or OTHERWISE)  # pages show what is not empty
        said.code, said.params = code, dict(params or {})
        return said


def said(error: CodedError) -> Said:
    """Return the text of a refusal by the portal's own domain."""
    return Said(str(error), error.code, error.params)


def money(cents: int, locale: str) -> str:
    return format_currency(cents / 100, "BRL", locale=REGIONS[locale])


def sentence(said: Said, locale: str) -> str:
    """Return the text in the reader's language. Parameters that end in `_cents` are money."""
    text = translated(SENTENCES.get(said.code, OTHERWISE), locale)
    values = {
        name: money(value, locale)
        if name.endswith("_cents") and isinstance(value, int)
        else str(value)
        for name, value in said.params.items()
    }
    try:
        return text % values
    except KeyError:  # the service is older or newer than this portal
        return translated(OTHERWISE, locale)
