"""The vault seals users' names and e-mails, the keys that sign tokens, and files handed in."""

import hashlib
from collections.abc import Iterable
from typing import Any
from uuid import UUID

from sqlalchemy import RowMapping

from libs.runtime.crypto import BlindIndex, CannotDecrypt, Cipher, report_unreadable
from services.portal.domain.user import words_of

PERSONAL = ("name", "email")


class Vault:
    def __init__(self, cipher: Cipher, index: BlindIndex) -> None:
        self._cipher = cipher
        self._index = index

    def seal_user(self, user_id: UUID, name: str, email: str) -> dict[str, Any]:
        """Return the sealed columns, and those that find the user by name and by e-mail. A value
        that could not be read (it is empty) is left out, so that its column does not change.
        """
        columns: dict[str, Any] = {}
        if name:
            columns["name"] = self._cipher.encrypt(name.encode(), f"users.name:{user_id}")
            columns["name_words"] = self.name_words(words_of(name))
        if email:
            columns["email"] = self._cipher.encrypt(email.encode(), f"users.email:{user_id}")
            columns["email_index"] = self.email_index(email)
        return columns

    def read_user(self, user_id: UUID, column: str, sealed: bytes) -> str:
        """Return the value, which is empty where it cannot be read. A sealed one is never empty."""
        return self._cipher.read(sealed, f"users.{column}:{user_id}") or ""

    def finds(self, row: RowMapping) -> bool | None:
        """Return whether the current key finds the user; None where the e-mail is unreadable."""
        email = self.read_user(row["id"], "email", row["email"])
        return self.email_index(email) == bytes(row["email_index"]) if email else None

    def seal_key(self, key_id: UUID, private_pem: bytes) -> bytes:
        return self._cipher.encrypt(private_pem, f"signing_keys.private_key:{key_id}")

    def read_key(self, key_id: UUID, sealed: bytes) -> bytes | None:
        """Return the private key, or None where it cannot be read."""
        pem = self._cipher.read(sealed, f"signing_keys.private_key:{key_id}")
        return None if pem is None else pem.encode()

    def seal_content(self, submission_id: UUID, content: bytes) -> bytes:
        return self._cipher.encrypt(content, _content(submission_id))

    def read_content(self, submission_id: UUID, sealed: bytes) -> bytes:
        """Return the content. An unreadable one is empty: the user learns that it has no rows."""
        try:
            return self._cipher.decrypt(sealed, _content(submission_id))
        except CannotDecrypt as error:
            report_unreadable(_content(submission_id), error)
            return b""

    def email_index(self, email: str) -> bytes:
        return self._index.of(email, "users.email")

    def name_words(self, words: Iterable[str]) -> list[bytes]:
        """Return the digests of words in the form that `words_of` makes."""
        return [self._index.of(word, "users.name") for word in sorted(words)]

    def attempt_index(self, kind: str, value: str) -> bytes:
        """Return the digest of an e-mail or an address from which a sign-in was tried."""
        return self._index.of(value, "sign_in_attempts", kind)

    def place_index(self, kind: str, value: str) -> bytes:
        """Return the digest of a browser or an address from which somebody signed in."""
        return self._index.of(value, "sign_in_places", kind)

    def csrf_token(self, token: str) -> bytes:
        """Return the token that a page of this session, or of this visitor, has to send back."""
        return self._index.of(token, "csrf")


def _content(submission_id: UUID) -> str:
    return f"submissions.sealed_content:{submission_id}"


def token_hash(token: str) -> bytes:
    """Return the stored digest of a token. A reader of the table cannot sign in with it."""
    return hashlib.sha256(token.encode()).digest()
