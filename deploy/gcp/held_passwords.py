"""Secret Manager holds the passwords: here they are in memory, and in no file of this machine."""

from collections.abc import Mapping
from pathlib import Path

from deploy.passwords import Passwords


class HeldPasswords(Passwords):
    """The passwords are in `known`. Any other is made when requested, or taken from `of`."""

    def __init__(self, known: Mapping[str, str], *, of: Passwords | None = None) -> None:
        super().__init__(Path(), of=of)
        self._known = dict(known)

    @property
    def known(self) -> dict[str, str]:
        """Return the passwords known at first, and those requested since."""
        return dict(self._known)

    def _look(self) -> None:
        pass

    def _write(self) -> None:
        pass
