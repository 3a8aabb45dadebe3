"""Passwords that are kept in Secret Manager: in memory here, and in no file of this machine."""

from collections.abc import Mapping
from pathlib import Path

from deploy.passwords import Passwords


class HeldPasswords(Passwords):
    """Those that are `known`; what is asked for besides is made up, or taken from `of`."""

    def __init__(self, known: Mapping[str, str], *, of: Passwords | None = None) -> None:
        super().__init__(Path(), of=of)
        self._known = dict(known)

    @property
    def known(self) -> dict[str, str]:
        """What was known, and what was asked for since."""
        return dict(self._known)

    def _look(self) -> None:
        pass

    def _write(self) -> None:
        pass
