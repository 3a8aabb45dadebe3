"""Sensitive columns are sealed by AES-256-GCM in the application, and a keyed index finds them.

A sealed value names the key it was sealed with, so that keys can be changed one value at a time.
Its context (table, column, row) is authenticated: a value copied to another place does not open.
"""

import hashlib
import hmac
import secrets
import time
from base64 import b64decode, b64encode
from binascii import Error as MalformedBase64
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import structlog
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from prometheus_client import Counter
from pydantic import BeforeValidator, InstanceOf

from libs.kernel.secret_files import SecretFileError, read_secret_file

log = structlog.get_logger(__name__)

KEY_BYTES = 32
NONCE_BYTES = 12
LOGGED_AGAIN_SECONDS = 600.0
"""A value that does not open is logged at most once in this time."""
MOST_REMEMBERED = 10_000
LOOK_AGAIN_SECONDS = 1.0
"""Before a process seals a value, it looks at the file of its keys again if its last look is older
than this.
"""
UNKNOWN_KEY_SECONDS = 0.05
"""Values that do not open make a process look at the file at most once in this time."""

UNREADABLE = Counter("sealed_values_unreadable", "Reads that met a sealed value that does not open")


class CannotDecrypt(Exception):
    """The value was sealed with a key that is not here or for another place, or it was tampered
    with.
    """


class Cipher:
    """A cipher seals with the current key, and opens with any of `keys` (id -> 32 bytes). Keys from
    a `file` are read again when the file changes, so that a new key needs no restart.
    """

    def __init__(
        self, keys: Mapping[str, bytes], current: str, *, file: Path | None = None
    ) -> None:
        self._ciphers = {key_id: AESGCM(key) for key_id, key in keys.items()}
        self._current = current
        self._file = file
        self._seen = _stamp(file)
        self._looked_at = time.monotonic()

    @property
    def key_ids(self) -> frozenset[str]:
        self._look(0.0)
        return frozenset(self._ciphers)

    @property
    def current(self) -> str:
        """Return the id of the key that seals."""
        self._look(LOOK_AGAIN_SECONDS)
        return self._current

    def _look(self, after: float) -> None:
        """Read the file again when it has changed, but look at it only when the last look is more
        than this many seconds ago. A file that cannot be used changes nothing.
        """
        now = time.monotonic()
        if self._file is None or now - self._looked_at < after:
            return
        self._looked_at = now
        if (stamp := _stamp(self._file)) == self._seen:
            return
        try:
            keys = parse_keys(read_secret_file(self._file))
        except (SecretFileError, ValueError) as error:
            log.error("the file of the data keys cannot be used", reason=str(error))
            return
        self._seen = stamp
        self._ciphers = {key_id: AESGCM(key) for key_id, key in keys.items()}
        self._current = next(iter(keys))
        log.info("data keys read again", current=self._current, known=len(keys))

    def encrypt(self, plaintext: bytes, context: str) -> bytes:
        """Return the length of the key id in one byte, the key id, a 12 byte nonce, the ciphertext
        and its tag. `context` says where the value stands, such as `vehicles.plate:UUID`.
        """
        current = self.current
        key_id = current.encode()
        nonce = secrets.token_bytes(NONCE_BYTES)
        sealed = self._ciphers[current].encrypt(nonce, plaintext, context.encode())
        return bytes([len(key_id)]) + key_id + nonce + sealed

    def decrypt(self, sealed: bytes, context: str) -> bytes:
        """Open the value. The message of CannotDecrypt holds neither the value nor a key."""
        start = 1 + sealed[0] if sealed else 0
        key_id = sealed[1:start].decode(errors="replace")
        if key_id not in self._ciphers:  # another process may already seal with a new key
            self._look(UNKNOWN_KEY_SECONDS)
        cipher = self._ciphers.get(key_id)
        if cipher is None:
            raise CannotDecrypt(f"no key of id {key_id!r}")
        nonce, rest = sealed[start : start + NONCE_BYTES], sealed[start + NONCE_BYTES :]
        try:
            return cipher.decrypt(nonce, rest, context.encode())
        except (InvalidTag, ValueError) as error:
            raise CannotDecrypt(f"a value of {context.split(':')[0]} does not open") from error

    def read(self, sealed: bytes, context: str) -> str | None:
        """Return the text that was sealed; None when it does not open, so that one damaged value
        makes no other unreadable. The damaged one is logged with its context, and counted.
        """
        try:
            return self.decrypt(sealed, context).decode()
        except CannotDecrypt as error:
            report_unreadable(context, error)
            return None


_logged: dict[str, float] = {}


def report_unreadable(context: str, error: CannotDecrypt) -> None:
    """Count the value, and log where it stands: `context` is `TABLE.COLUMN:ID`."""
    UNREADABLE.inc()
    now = time.monotonic()
    if now - _logged.get(context, float("-inf")) < LOGGED_AGAIN_SECONDS:
        return
    if len(_logged) >= MOST_REMEMBERED:
        _logged.clear()
    _logged[context] = now
    column, _, row = context.partition(":")
    log.error("a sealed value cannot be read", column=column, id=row, reason=str(error))


@dataclass(frozen=True)
class DataKeys:
    """Each record has a key, kept beside it and wrapped by the master keys: destroying the key
    erases the record in every copy of the table that does not hold the wrapped key as well.
    """

    master: Cipher

    def create(self, context: str) -> bytes:
        """Return a new data key, wrapped; store it and `open` it."""
        return self.master.encrypt(secrets.token_bytes(KEY_BYTES), context)

    def open(self, wrapped: bytes, context: str) -> Cipher:
        """Return the cipher of one record, or raise CannotDecrypt."""
        key = self.master.decrypt(wrapped, context)
        key_id = hashlib.sha256(key).hexdigest()[:8]
        return Cipher({key_id: key}, key_id)

    def read(self, wrapped: bytes, context: str) -> Cipher | None:
        """Return what `open` does; None where that fails, which is logged and counted."""
        try:
            return self.open(wrapped, context)
        except CannotDecrypt as error:
            report_unreadable(context, error)
            return None


class BlindIndex:
    """A blind index is a keyed digest: equal values are found and kept unique, and none can be
    guessed without the key. Normalize values first. `label` parts keep tenants and columns apart.
    """

    def __init__(self, key: bytes) -> None:
        self._key = key

    def of(self, value: str, *label: str) -> bytes:
        """Return the digest of `value`: 32 bytes."""
        parts = [part.encode() for part in (*label, value)]
        message = b"".join(len(part).to_bytes(4, "big") + part for part in parts)
        return hmac.digest(self._key, message, "sha256")


def _stamp(file: Path | None) -> tuple[int, int, int] | None:
    """Return a value that changes when the file changes; None where there is no file."""
    try:
        found = file.stat() if file else None
    except OSError:
        return None
    return (found.st_ino, found.st_mtime_ns, found.st_size) if found else None


def new_key() -> str:
    """Return a random key, as the settings below expect it."""
    return b64encode(secrets.token_bytes(KEY_BYTES)).decode()


def parse_cipher(text: object) -> Cipher:
    """Return the cipher of these keys; keys that came from a file are read from it again."""
    if isinstance(text, Cipher):
        return text
    keys = parse_keys(str(text))
    return Cipher(keys, next(iter(keys)), file=getattr(text, "file", None))


def parse_keys(text: str) -> dict[str, bytes]:
    """Parse `ID:BASE64,ID:BASE64`, the current key first. A ValueError never repeats the text."""
    entries = [entry.partition(":") for entry in text.split(",")]
    keys = {key_id.strip(): _parse_key(encoded) for key_id, _, encoded in entries}
    if "" in keys or len(keys) != len(entries) or any(len(key_id) > 255 for key_id in keys):
        raise ValueError("expected ID:BASE64[,ID:BASE64...], each id once, the current key first")
    return keys


def parse_blind_index(text: object) -> BlindIndex:
    """Parse one BASE64 key. A ValueError never repeats the text."""
    return text if isinstance(text, BlindIndex) else BlindIndex(_parse_key(str(text)))


def _parse_key(encoded: str) -> bytes:
    try:
        key = b64decode(encoded.strip(), validate=True)
    except MalformedBase64:
        key = b""
    if len(key) != KEY_BYTES:
        raise ValueError(f"expected keys of {KEY_BYTES} bytes in base64")
    return key


CipherSetting = Annotated[InstanceOf[Cipher], BeforeValidator(parse_cipher)]
"""A setting of this type looks like DATA_KEYS=`k2:BASE64,k1:BASE64`."""

BlindIndexSetting = Annotated[InstanceOf[BlindIndex], BeforeValidator(parse_blind_index)]
"""A setting of this type looks like INDEX_KEY=`BASE64`."""
