"""After several failures the next sign-in has to wait, except from a known browser.

A stranger must neither guess a password nor keep its owner out. So attempts are counted by where
they come from, and attempts of strangers do not delay an owner at a known place.
"""

from dataclasses import dataclass
from datetime import timedelta

WINDOW = timedelta(minutes=15)
NO_WAIT = timedelta()


@dataclass(frozen=True)
class Attempts:
    """This many failures are allowed within WINDOW: from one address for one account, from one
    address for all accounts, and for one account from all addresses.
    """

    here: int
    address: int
    account: int


ATTEMPTS = Attempts(here=5, address=50, account=50)


@dataclass(frozen=True)
class Over:
    """Each limit has the time until another attempt is allowed; zero means now."""

    here: timedelta
    address: timedelta
    account: timedelta


def wait_before_next_attempt(over: Over, *, known_browser: bool, known_address: bool) -> timedelta:
    """Return the wait, which is zero where the password is checked now.

    A browser that has signed in to the account never waits: its cookie proves an earlier sign-in,
    and strangers do not have it. An address may be shared with strangers: attempts from a known
    address count against it, attempts from elsewhere do not.
    """
    if known_browser:
        return NO_WAIT
    elsewhere = NO_WAIT if known_address else over.account
    return max(over.here, over.address, elsewhere)
