"""Why orders refuses. Each code is stable: clients may depend on it."""

from libs.kernel.errors import Conflict, Invalid, NotFound


class OrderNotFound(NotFound):
    code = "order-not-found"


class PurchaseNotFound(NotFound):
    code = "purchase-not-found"


class IncompletePurchase(Invalid):
    """Customer and vehicle are named together, or neither: one alone would reserve nothing."""

    code = "incomplete-purchase"


class OrderNotDraft(Conflict):
    code = "order-not-draft"


class OrderNotConfirmed(Conflict):
    code = "order-not-confirmed"


class OrderAlreadyClosed(Conflict):
    code = "order-already-closed"


class PurchaseNotCompleted(Conflict):
    code = "purchase-not-completed"


class PurchaseAlreadyFailed(Conflict):
    code = "purchase-already-failed"


class TooManyOpenPurchases(Conflict):
    """One buyer may not hold an unlimited number of vehicles back from all others."""

    code = "too-many-open-purchases"
