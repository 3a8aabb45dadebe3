"""The keys that sign tokens: one signs, those before it are still good for what they signed."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

PUBLISHED_BEFORE_USE = timedelta(seconds=15)
"""Services look for a key they do not know at most every few seconds: a new one is published
this long before it signs."""


@dataclass(frozen=True)
class SigningKey:
    """`retired_at`: from then on it signs nothing; None for the newest. `private_pem` is None where
    what is stored cannot be read: what the key signed is still checked, and another one signs.
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
        """Whether it signs, or will, until another one takes its place."""
        return self.is_readable and self.retired_at is None

    def is_published(self, now: datetime, token_lifetime: timedelta) -> bool:
        """Until the last token it signed has expired."""
        return self.retired_at is None or now < self.retired_at + token_lifetime
