"""The issuer's public keys, from a URL or a file: cached, and read again when a key is unknown."""

import asyncio
import json
import time
from pathlib import Path
from urllib.request import urlopen

from jwt import PyJWK, PyJWKSet
from jwt.exceptions import PyJWTError

FETCH_SECONDS = 3.0
MAX_BYTES = 1024 * 1024
REFRESH_SECONDS = 300.0
"""A key withdrawn by the issuer is trusted at most this long."""
UNKNOWN_KEY_SECONDS = 5.0
"""Tokens with made-up key ids cannot make us fetch more often than this."""


class KeysUnavailable(Exception):
    """The keys cannot be read; the message names the place, not its content."""


class KeySet:
    """Public keys by `kid`."""

    def __init__(self, location: str) -> None:
        self._location = location
        self._keys: dict[str, PyJWK] = {}
        self._read_at = float("-inf")
        self._reading = asyncio.Lock()

    async def key(self, kid: str) -> PyJWK | None:
        """The key of that id, or None when the issuer has no such key."""
        age = time.monotonic() - self._read_at
        if age > REFRESH_SECONDS or (kid not in self._keys and age > UNKNOWN_KEY_SECONDS):
            await self._refresh()
        return self._keys.get(kid)

    async def load(self) -> None:
        """Read the keys now; raises KeysUnavailable."""
        try:
            document = await asyncio.to_thread(_read, self._location)
            keys = PyJWKSet.from_dict(json.loads(document)).keys
        except OSError as error:  # urllib's errors too
            reason = getattr(error, "reason", None) or error.strerror or type(error).__name__
            raise KeysUnavailable(f"JWKS_URL {self._location}: {reason}") from error
        except (ValueError, TypeError, AttributeError, PyJWTError) as error:
            raise KeysUnavailable(f"JWKS_URL {self._location}: not a JWK set") from error
        self._keys = {key.key_id: key for key in keys if key.key_id}
        self._read_at = time.monotonic()

    async def _refresh(self) -> None:
        before = self._read_at
        async with self._reading:
            if self._read_at != before:
                return
            try:
                await self.load()
            except KeysUnavailable:
                if not self._keys:
                    raise
                self._read_at = time.monotonic() - REFRESH_SECONDS + UNKNOWN_KEY_SECONDS


def _read(location: str) -> bytes:
    url = location if "://" in location else Path(location).absolute().as_uri()
    # The operator names the place.
    with urlopen(url, timeout=FETCH_SECONDS) as answer:  # noqa: S310  # nosec B310
        content: bytes = answer.read(MAX_BYTES)
        return content
