"""Only the holder of a key can read a sealed file. It has the age format, which the program `age`
reads too.

Making backups takes the public half of the key pair (the recipient); reading them takes the private
half (the identity).
"""

import hashlib
import os
import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Protocol

import pyrage

from deploy.backup.failure import BackupFailed

CHUNK_BYTES = 1 << 20
GZIP = 16 + zlib.MAX_WBITS


class Readable(Protocol):
    def read(self, size: int = -1, /) -> bytes: ...


class Compressed:
    """This reader returns the content of `source` as gzip. `taken` is how many bytes were read."""

    def __init__(self, source: Readable) -> None:
        self.taken = 0
        self._source = source
        self._gzip = zlib.compressobj(1, wbits=GZIP)
        self._ready = bytearray()
        self._at_end = False

    def read(self, size: int = -1, /) -> bytes:
        while not self._at_end and (size < 0 or len(self._ready) < size):
            chunk = self._source.read(CHUNK_BYTES)
            self.taken += len(chunk)
            self._at_end = not chunk
            self._ready += self._gzip.compress(chunk) if chunk else self._gzip.flush()
        given = bytes(self._ready if size < 0 else self._ready[:size])
        del self._ready[: len(given)]
        return given


class _Summed:
    """This writer computes the SHA-256 of what it writes."""

    def __init__(self, target: IO[bytes]) -> None:
        self.sum = hashlib.sha256()
        self._target = target

    def write(self, data: bytes) -> int:
        self.sum.update(data)
        return self._target.write(data)

    def flush(self) -> None:
        self._target.flush()


def seal(source: Readable, place: Path, recipient: str) -> str:
    """Write `source` encrypted to the new file `place`, down to the disk. Returns its SHA-256.

    Raises BackupFailed or OSError.
    """
    try:
        key = pyrage.x25519.Recipient.from_str(recipient)
    except pyrage.RecipientError:
        raise BackupFailed(f"{recipient!r} is no age recipient (age1…)") from None
    with open(place, "xb", opener=_private) as file:  # Path.open takes no opener
        target = _Summed(file)
        try:
            pyrage.encrypt_io(source, target, [key])
        except pyrage.EncryptError as error:  # an error of the source or the disk
            raise BackupFailed(f"{place}: {error}") from None
        file.flush()
        os.fsync(file.fileno())
    return target.sum.hexdigest()


@contextmanager
def opened(place: Path, identity: str) -> Iterator[IO[bytes]]:
    """Yield the clear content of a sealed file, as a stream. When the block ends without an error,
    the rest is read too, so that a missing end is found.

    Raises BackupFailed where the identity does not fit or the file is damaged.
    """
    reading, writing = os.pipe()
    trouble: list[BaseException] = []

    def decrypt() -> None:
        with place.open("rb") as source, os.fdopen(writing, "wb") as target:
            try:
                pyrage.decrypt_io(source, target, [identity_of(identity)])
            except BrokenPipeError:
                pass  # the reader needs no more, and says why
            except (OSError, pyrage.DecryptError, BackupFailed) as error:
                trouble.append(error)

    thread = threading.Thread(target=decrypt, daemon=True)
    thread.start()
    failed: BaseException | None = None
    with os.fdopen(reading, "rb") as stream:
        try:
            yield stream
            while stream.read(CHUNK_BYTES):
                pass
        except Exception as error:  # a cut stream is an error of the sealed file, not of its reader
            failed = error
    thread.join()
    if trouble:
        raise BackupFailed(f"{place} cannot be decrypted: {trouble[0]}") from None
    if failed is not None:
        raise failed


def checksum(place: Path) -> str:
    """Return the SHA-256 of a file."""
    with place.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def identity_of(text: str) -> "pyrage.x25519.Identity":
    """Return the identity that `text` is, or raise BackupFailed."""
    try:
        return pyrage.x25519.Identity.from_str(text)
    except pyrage.IdentityError:
        raise BackupFailed("this is no age identity (AGE-SECRET-KEY-1…)") from None


def new_identity() -> str:
    return str(pyrage.x25519.Identity.generate())


def recipient_of(identity: str) -> str:
    """Return the public half of an identity, or raise BackupFailed."""
    return str(identity_of(identity).to_public())


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
