"""What the tests of several services share."""

import pytest

from services.tokens import Issuer


@pytest.fixture(scope="session")
def issuer(tmp_path_factory: pytest.TempPathFactory) -> Issuer:
    """Signs the tokens of callers; a service that has AUTH=on trusts its `jwks`."""
    return Issuer(tmp_path_factory.mktemp("keys"))
