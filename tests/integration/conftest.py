"""These fixtures belong to the tests of several services."""

import pytest

from libs.calls.sandbox import Sandbox
from services.tokens import Issuer


@pytest.fixture(scope="session")
def issuer(tmp_path_factory: pytest.TempPathFactory) -> Issuer:
    """Return an issuer of tokens that a service under test accepts."""
    return Issuer(tmp_path_factory.mktemp("keys"))


@pytest.fixture
def patience() -> float:
    """Return the seconds that a call may take. A slow machine makes no call unanswered."""
    return 20


@pytest.fixture
def silence_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """End a call that the sandbox leaves unanswered at once, as it ends when its patience is over.
    `tests/unit/calls/test_answers.py` and some calls in `test_calls.py` wait for their patience.
    """

    async def answer(_: Sandbox, calls: int, *, answered_on: int) -> None:
        if calls < answered_on:
            raise TimeoutError

    monkeypatch.setattr(Sandbox, "_answer", answer)
