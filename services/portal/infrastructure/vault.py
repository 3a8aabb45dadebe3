"""What is stored sealed: users' names and e-mails, and the private keys that sign tokens."""

import hashlib
from uuid import UUID

from libs.runtime.crypto import BlindIndex, Cipher

PERSONAL = ("name", "email")


class Vault:
    def __init__(self, cipher: Cipher, index: BlindIndex) -> None:
        self._cipher = cipher
        self._index = index

    def seal_user(self, user_id: UUID, name: str, email: str) -> dict[str, bytes]:
        """The values of the columns, with the index that finds the user by e-mail."""
        return {
            "name": self._cipher.encrypt(name.encode(), f"users.name:{user_id}"),
            "email": self._cipher.encrypt(email.encode(), f"users.email:{user_id}"),
            "email_index": self.email_index(email),
        }

    def open_user(self, user_id: UUID, column: str, sealed: bytes) -> str:
        """Raises CannotDecrypt."""
        return self._cipher.decrypt(sealed, f"users.{column}:{user_id}").decode()

    def seal_key(self, key_id: UUID, private_pem: bytes) -> bytes:
        return self._cipher.encrypt(private_pem, f"signing_keys.private_key:{key_id}")

    def open_key(self, key_id: UUID, sealed: bytes) -> bytes:
        """Raises CannotDecrypt."""
        return self._cipher.decrypt(sealed, f"signing_keys.private_key:{key_id}")

    def email_index(self, email: str) -> bytes:
        return self._index.of(email, "users.email")

    def attempt_index(self, kind: str, value: str) -> bytes:
        """Of an e-mail or an address that tried to sign in."""
        return self._index.of(value, "sign_in_attempts", kind)

    def csrf_token(self, token: str) -> str:
        """What a page of this session, or of this visitor, has to send back."""
        return self._index.of(token, "csrf").hex()


def token_hash(token: str) -> bytes:
    """A session's token as it is stored: who reads the table cannot sign in with it."""
    return hashlib.sha256(token.encode()).digest()
