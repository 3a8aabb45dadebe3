"""The wait before another attempt grows with the number of attempts."""

import random


def backoff(attempt: int, *, first: float = 0.1, most: float = 5.0) -> float:
    """Return the seconds to wait before attempt `attempt` (from 1): exponential, with jitter."""
    longest: float = min(most, first * 2.0 ** min(attempt - 1, 30))
    return longest * random.uniform(0.5, 1)  # noqa: S311  # nosec B311  # jitter
