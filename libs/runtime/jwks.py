"""The issuer's public keys come from a URL or a file. They are read again for an unknown key."""

import asyncio
import json
import time
from contextlib import suppress
from pathlib import Path

from jwt import PyJWK, PyJWKSet
from jwt.exceptions import PyJWTError

from libs.runtime.direct import open_directly

FETCH_SECONDS = 3.0
MAX_BYTES = 1024 * 1024
REFRESH_SECONDS = 300.0
"""A key withdrawn by the issuer is trusted at most this long, while the issuer answers."""
AWAY_SECONDS = 3600.0
"""While the issuer does not answer, keys are trusted for this long after they were last read. After
that no token is accepted.
"""
UNKNOWN_KEY_SECONDS = 5.0
"""Keys are fetched at most once in this time, whatever key ids tokens name and whether the issuer
answers or not.
"""


class KeysUnavailable(Exception):
    """The keys cannot be read. The message names the place, not its content."""


class KeySet:
    """A key set has public keys by `kid`."""

    def __init__(self, location: str) -> None:
        self._location = location
        self._keys: dict[str, PyJWK] = {}
        self._read_at = float("-inf")
        self._tried_at = float("-inf")
        self._reading = asyncio.Lock()

    async def key(self, kid: str) -> PyJWK | None:
        """Return the key of that id, or None when the issuer has no such key. Raises
        KeysUnavailable when the keys were last read too long ago.
        """
        now = time.monotonic()
        wanted = now - self._read_at > REFRESH_SECONDS or kid not in self._keys
        if wanted and now - self._tried_at > UNKNOWN_KEY_SECONDS:
            await self._refresh()
        if time.monotonic() - self._read_at > AWAY_SECONDS:
            raise KeysUnavailable(f"JWKS_URL {self._location}: not read for an hour")
        return self._keys.get(kid)

    async def load(self) -> None:
        """Read the keys now. Raises KeysUnavailable where that fails."""
        try:
            document = await asyncio.to_thread(_read, self._location)
            keys = PyJWKSet.from_dict(json.loads(document)).keys
        except OSError as error:  # urllib's errors are such ones
            reason = getattr(error, "reason", None) or error.strerror or type(error).__name__
            raise KeysUnavailable(f"JWKS_URL {self._location}: {reason}") from error
        except (ValueError, TypeError, AttributeError, PyJWTError) as error:
            raise KeysUnavailable(f"JWKS_URL {self._location}: not a JWK set") from error
        self._keys = {key.key_id: key for key in keys if key.key_id}
        self._read_at = self._tried_at = time.monotonic()

    async def _refresh(self) -> None:
        before = self._tried_at
        async with self._reading:
            if self._tried_at != before:
                return
            with suppress(KeysUnavailable):
                await self.load()
            self._tried_at = time.monotonic()


def _read(location: str) -> bytes:
    url = location if "://" in location else Path(location).absolute().as_uri()
    with open_directly(url, FETCH_SECONDS) as answer:  # the operator names the place
        return answer.read(MAX_BYTES)
