"""Orders refuses requests with these errors. Each code is stable: clients may depend on it."""

from libs.kernel.errors import Conflict, Forbidden, Invalid, NotFound


class OrderNotFound(NotFound):
    code = "order-not-found"
    text = "There is no such order."


class PurchaseNotFound(NotFound):
    code = "purchase-not-found"
    text = "There is no such purchase."


class IncompletePurchase(Invalid):
    """Customer and vehicle are given together or not at all: one alone would reserve nothing."""

    code = "incomplete-purchase"
    text = "A customer and a vehicle are named together, or neither."


class OrderNotDraft(Conflict):
    code = "order-not-draft"
    text = "The order is {status}: only a draft can be confirmed."


class OrderNotConfirmed(Conflict):
    code = "order-not-confirmed"
    text = "The order is a draft: confirm it first."


class OrderAlreadyClosed(Conflict):
    code = "order-already-closed"
    text = "The order is closed: nothing can be changed any more."


class PurchaseNotCompleted(Conflict):
    code = "purchase-not-completed"
    text = "The purchase is {state}: only a completed one can be closed."


class PurchaseAlreadyFailed(Conflict):
    code = "purchase-already-failed"
    text = "The purchase has failed: there is nothing to cancel."


class TooManyOpenPurchases(Conflict):
    """The limit keeps one buyer from reserving an unlimited number of vehicles."""

    code = "too-many-open-purchases"
    text = "The customer has {most} open purchases: pay or cancel one."


class NotYourCustomer(Forbidden):
    """A buyer buys only for the own customer record, and sees only the purchases of that record."""

    code = "not-your-customer"
    text = "A buyer acts for the own customer record alone."


class NoCustomerRecord(Forbidden):
    code = "no-customer-record"
    text = "The token names no customer record."
