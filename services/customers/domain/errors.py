"""Customers refuses requests with these errors."""

from libs.kernel.errors import Conflict, Forbidden, Invalid, NotFound


class CustomerNotFound(NotFound):
    """The tenant has no such customer, or has erased it."""

    code = "customer-not-found"
    text = "There is no such customer."


class InvalidPersonalData(Invalid):
    """The value is not valid for its field. The message never repeats the value."""


class InvalidName(InvalidPersonalData):
    code = "invalid-text"
    text = "It is 1 to {most} printable characters."


class InvalidEmail(InvalidPersonalData):
    code = "invalid-email"
    text = "This is no e-mail address."


class InvalidPhone(InvalidPersonalData):
    code = "invalid-phone"
    text = "This is no phone number."


class InvalidDocument(InvalidPersonalData):
    code = "invalid-document"
    text = "This is neither a CPF nor a CNPJ."


class DocumentTaken(Conflict):
    """Another customer of the tenant has this document."""

    code = "document-taken"
    text = "Another customer has this document."


class RegisteredWithAnotherDocument(Conflict):
    """The user has a customer record already, and its document is a different one."""

    code = "registered-with-another-document"
    text = "You are registered already, with another document. It cannot be changed here."


class PersonalDataUnreadable(Conflict):
    """Some of the stored data cannot be read. Sealing the rest again would lose it for good."""

    code = "personal-data-unreadable"
    text = (
        "Some of the stored data cannot be read, so it cannot be changed now: an operator finds the"
        " reason in the log."
    )


class CreditLimitBelowUse(Conflict):
    """The requested limit is below the credit that is reserved and consumed."""

    code = "credit-limit-below-use"
    text = "The limit is at least {used_cents} cents: so much is in use."


class CreditRequestTooLow(Invalid):
    """The requested limit is not above the current one."""

    code = "credit-request-too-low"
    text = "Ask for more than the limit you have."


class NoCreditRequest(Conflict):
    """The customer has no request that waits for an answer."""

    code = "no-credit-request"
    text = "There is no request for credit to answer any more."


class CustomerHasOpenPurchases(Conflict):
    """Credit is reserved, or an order of the customer is not closed."""

    code = "customer-has-open-purchases"
    text = "The customer has reserved credit, or an order that is not closed."


class RegisteredAlready(Forbidden):
    code = "registered-already"
    text = "You are registered already."


class NotYourself(Forbidden):
    code = "not-yourself"
    text = "A buyer registers nobody else."
