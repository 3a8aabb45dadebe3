"""How often a sign-in may fail before the next try has to wait, and who never waits.

A stranger must not guess a password, and must not shut out its owner. So tries are counted by
where they come from, and where the owner has signed in before is not held up by what strangers do.
"""

from dataclasses import dataclass
from datetime import timedelta

WINDOW = timedelta(minutes=15)
NO_WAIT = timedelta()


@dataclass(frozen=True)
class Attempts:
    """How many may fail within WINDOW: from one address for one account, from one address for all
    accounts, and for one account from all addresses.
    """

    here: int
    address: int
    account: int


ATTEMPTS = Attempts(here=5, address=50, account=50)


@dataclass(frozen=True)
class Over:
    """For each limit how long it is until one more try is within it; zero: it is now."""

    here: timedelta
    address: timedelta
    account: timedelta


def wait_before_next_attempt(over: Over, *, known_browser: bool, known_address: bool) -> timedelta:
    """Zero where the password is looked at now.

    A browser that has signed in to the account never waits: its cookie is proof of a sign-in, and
    strangers do not have it. An address may be shared with strangers: what it tries itself counts
    also where it is known, what is tried from elsewhere does not.
    """
    if known_browser:
        return NO_WAIT
    elsewhere = NO_WAIT if known_address else over.account
    return max(over.here, over.address, elsewhere)
