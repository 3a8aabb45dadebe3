"""The bank pays, refuses or does not answer. A policy says when it is called again."""

from dataclasses import KW_ONLY, dataclass

from libs.kernel.calls import RetryPolicy, Unanswered


@dataclass(frozen=True)
class Paid:
    """The money moved. `reference` is the bank's own id for it."""

    reference: str


@dataclass(frozen=True)
class Refused:
    """The money did not move. With `for_good`, another call is useless until a person has acted."""

    reason: str
    for_good: bool = False


Answer = Paid | Refused | Unanswered


@dataclass(frozen=True)
class BankPolicy(RetryPolicy):
    """A payout has failed after `tries` calls when the last one was refused. It needs a person
    after `silent_tries` calls when the last one got no answer.
    """

    _: KW_ONLY
    tries: int
