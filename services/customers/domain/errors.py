"""What this service refuses, and why."""

from libs.kernel.errors import Conflict, Invalid, NotFound


class CustomerNotFound(NotFound):
    """No such customer for this tenant, or erased."""

    code = "customer-not-found"


class InvalidPersonalData(Invalid):
    """A name, e-mail, phone or document that cannot be one. Never repeats the value."""

    code = "invalid-personal-data"


class DocumentTaken(Conflict):
    """Another customer of the tenant has this document."""

    code = "document-taken"


class RegisteredWithAnotherDocument(Conflict):
    """The user has a customer record of his own, and its document is another one."""

    code = "registered-with-another-document"


class PersonalDataUnreadable(Conflict):
    """Some of the stored data cannot be read. To seal the rest anew would lose it for good."""

    code = "personal-data-unreadable"

    def __init__(self) -> None:
        super().__init__(
            "some of the stored data cannot be read, so it cannot be changed now; an operator finds"
            " the reason in the log"
        )


class CreditLimitBelowUse(Conflict):
    """The limit asked for is below what is reserved and consumed."""

    code = "credit-limit-below-use"


class CustomerHasOpenPurchases(Conflict):
    """Credit is reserved, or an order of the customer is not closed."""

    code = "customer-has-open-purchases"
