"""Passwords and keys of one installation, made up when they are first asked for."""

import base64
import json
import secrets
from pathlib import Path


class Passwords:
    """Kept in one file that only its owner can read. Never written anywhere else but to servers.

    With `of`, the file gets those of `of` that are asked for, and loses all others.
    """

    def __init__(self, path: Path, *, of: "Passwords | None" = None) -> None:
        self._path = path
        self._of = of
        kept = of is None and path.exists()
        self._known: dict[str, str] = json.loads(path.read_text()) if kept else {}

    def password(self, name: str) -> str:
        """Of an account; safe in URLs, SQL and shells."""
        return self.get_or_make(name, secrets.token_hex(20))

    def readable(self, name: str) -> str:
        """Of a person, who types it."""
        return self.get_or_make(name, secrets.token_urlsafe(12))

    def key(self, name: str) -> str:
        """32 random bytes as BASE64. Without it, what was sealed with it is lost."""
        return self.get_or_make(name, base64.b64encode(secrets.token_bytes(32)).decode())

    def get_or_make(self, name: str, fresh: str) -> str:
        """The secret of this name, `fresh` where there is none yet."""
        if name not in self._known:
            self._known[name] = self._of.get_or_make(name, fresh) if self._of else fresh
            self._write()
        return self._known[name]

    def _write(self) -> None:
        draft = self._path.with_suffix(".draft")
        draft.unlink(missing_ok=True)
        draft.touch(mode=0o600)
        draft.write_text(json.dumps(self._known, indent=2) + "\n")
        draft.replace(self._path)
