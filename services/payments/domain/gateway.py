"""The gateway approves, declines or does not answer. A policy says when it is called again."""

from dataclasses import KW_ONLY, dataclass

from libs.kernel.calls import RetryPolicy, Unanswered


@dataclass(frozen=True)
class Approved:
    """The money moved. `reference` is the gateway's own id for it."""

    reference: str


@dataclass(frozen=True)
class Declined:
    """The money did not move. Under this key only a refund may still succeed."""

    reason: str


Answer = Approved | Declined | Unanswered


@dataclass(frozen=True)
class GatewayPolicy(RetryPolicy):
    """A refund needs a person after `refund_tries` failed calls, a charge after `silent_tries`
    calls without an answer. After `card_tries` declined cards the payment has failed.
    """

    _: KW_ONLY
    refund_tries: int
    card_tries: int = 1
