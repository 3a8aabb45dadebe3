"""An identifier is a UUID of version 7 (RFC 9562): its first 48 bits are the time in milliseconds.

Python 3.14 has `uuid.uuid7`; until then these lines stand in for it.
"""

import secrets
import time
from collections.abc import Callable
from datetime import UTC, datetime
from uuid import UUID

IdFactory = Callable[[], UUID]


def uuid7() -> UUID:
    """Return a new identifier. Identifiers sort by the millisecond in which they are made; within
    one millisecond their order is random.
    """
    value = (time.time_ns() // 1_000_000) << 80 | secrets.randbits(80)
    value = value & ~(0xF << 76) | 0x7 << 76
    return UUID(int=value & ~(0x3 << 62) | 0x2 << 62)


def time_of(identifier: UUID) -> datetime:
    """Return when a version 7 identifier was made, to the millisecond.

    Raises ValueError for any other version: those carry no such time.
    """
    if identifier.version != 7:
        raise ValueError(f"{identifier} is not a UUID of version 7")
    return datetime.fromtimestamp((identifier.int >> 80) / 1000, tz=UTC)
