"""An installation's passwords and keys are made when they are first requested."""

import base64
import json
import secrets
from datetime import UTC, datetime
from pathlib import Path

from libs.runtime.start_failure import StartFailure

RETIRED = "retired "
"""The notes that say which keys are retired have names with this prefix."""


class Passwords:
    """Passwords are kept in one file that only its owner can read, and are written nowhere else but
    to servers.

    With `of`, the file gets those of `of` that are requested, and loses all others.
    """

    def __init__(self, path: Path, *, of: "Passwords | None" = None) -> None:
        self.path = path
        self._of = of
        kept = of is None and path.is_file()
        self._known: dict[str, str] = json.loads(path.read_text()) if kept else {}
        self._seen = self._stamp() if kept else None

    def password(self, name: str) -> str:
        """Return the password of an account; safe in URLs, SQL and shells."""
        return self.get_or_make(name, secrets.token_hex(20))

    def readable(self, name: str) -> str:
        """Return the password of a person, who types it."""
        return self.get_or_make(name, secrets.token_urlsafe(12))

    def key(self, name: str) -> str:
        """Return 32 random bytes as BASE64. What the key has sealed is lost without the key."""
        return self.get_or_make(name, _random_key())

    def replace(self, name: str) -> str:
        """Replace the password of an account by a new one."""
        self._look()
        self._known[name] = secrets.token_hex(20)
        self._write()
        return self._known[name]

    def upcoming(self, name: str) -> str:
        """Return the next password of an account that changes its own. It is stored, so that a run
        after an interruption before `settle` can find out which of the two is valid.
        """
        return self.password(f"next {name}")

    def settle(self, name: str) -> None:
        """Make the upcoming password the account's."""
        self._look()
        self._known[name] = self._known.pop(f"next {name}")
        self._write()

    def keys(self, name: str) -> dict[str, str]:
        """Return the keys in use, by id, the newest first: "1", made first, is `key(name)`."""
        source = self._of or self
        if not source.names_like(name):  # a container that has newer keys needs no first one
            source.key(name)
        ids = ["1"] if name in source.names_like(name) else []
        ids += [each.removeprefix(f"{name} ") for each in source.names_like(f"{name} ")]
        used = [each for each in ids if f"{RETIRED}{name} {each}" not in source.names_like(RETIRED)]
        newest_first = sorted((each for each in used if each.isdecimal()), key=int, reverse=True)
        return {each: self.get_or_make(_key_name(name, each), "") for each in newest_first}

    def add_key(self, name: str) -> None:
        """Add a key, which is then the newest."""
        self._look()
        newest = max(map(int, self.keys(name)))
        self._known[_key_name(name, str(newest + 1))] = _random_key()
        self._write()

    def retire_old_keys(self, name: str) -> None:
        """Retire all but the newest. Retired keys are kept for what they have sealed."""
        for old in list(self.keys(name))[1:]:
            self._known[f"{RETIRED}{name} {old}"] = datetime.now(UTC).isoformat()
        self._write()

    def names_like(self, start: str) -> list[str]:
        """Return the names of the secrets that begin so."""
        self._look()
        return [name for name in self._known if name.startswith(start)]

    def _look(self) -> None:
        """Read the file again where another process has changed it."""
        if self._of is None and self._seen != (stamp := self._stamp()):
            self._seen = stamp
            if stamp is not None:
                self._known = json.loads(self.path.read_text())

    def _stamp(self) -> tuple[int, int] | None:
        try:
            found = self.path.stat()
        except FileNotFoundError:
            return None
        return found.st_ino, found.st_mtime_ns

    def get_or_make(self, name: str, fresh: str) -> str:
        """Return the secret of this name; `fresh` where there is none yet. Raises StartFailure
        where there is none and the file may not be written.
        """
        self._look()
        if name not in self._known:
            self._known[name] = self._of.get_or_make(name, fresh) if self._of else fresh
            try:
                self._write()
            except OSError as error:
                why = f"and none can be written: {error.strerror}"
                raise StartFailure(f"{self.path} has no secret {name!r}, {why}") from None
        return self._known[name]

    def _write(self) -> None:
        draft = self.path.with_suffix(".draft")
        draft.unlink(missing_ok=True)
        draft.touch(mode=0o600)
        draft.write_text(json.dumps(self._known, indent=2) + "\n")
        draft.replace(self.path)
        self._seen = self._stamp()


def _key_name(name: str, key_id: str) -> str:
    return name if key_id == "1" else f"{name} {key_id}"


def _random_key() -> str:
    return base64.b64encode(secrets.token_bytes(32)).decode()
