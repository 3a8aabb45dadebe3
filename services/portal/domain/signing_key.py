"""One key signs the tokens, and those before it still verify the tokens that they signed."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

PUBLISHED_BEFORE_USE = timedelta(seconds=15)
"""A new key is published this long before it signs, because a service looks for an unknown key only
every few seconds.
"""


@dataclass(frozen=True)
class SigningKey:
    """The key signs nothing from `retired_at` on, which is None for the newest. `private_pem` is
    None where the stored key cannot be read: its tokens are still verified, and another key signs.
    """

    id: UUID
    private_pem: bytes | None = field(repr=False)
    public_jwk: dict[str, str]
    signs_from: datetime
    retired_at: datetime | None = None

    @property
    def is_readable(self) -> bool:
        return self.private_pem is not None

    @property
    def has_future(self) -> bool:
        """Return whether the key signs now, or will sign before another key replaces it."""
        return self.is_readable and self.retired_at is None

    def is_published(self, now: datetime, token_lifetime: timedelta) -> bool:
        """Return whether a token that the key has signed may still be valid."""
        return self.retired_at is None or now < self.retired_at + token_lifetime
