from collections.abc import Iterator

import pytest

from tests.fixtures.whole_market import Databases
from tests.http.serving import Serving, serving_market


@pytest.fixture(scope="module")
def served(databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    """All seven services behind real sockets."""
    with serving_market(databases, tmp_path_factory.mktemp("served")) as opened:
        yield opened
