"""Fixtures that the tests of several services use."""

import pytest

from services.tokens import Issuer


@pytest.fixture(scope="session")
def issuer(tmp_path_factory: pytest.TempPathFactory) -> Issuer:
    """Makes the tokens that a service under test accepts."""
    return Issuer(tmp_path_factory.mktemp("keys"))
