"""The canvas of payments names states and the sandbox's tokens."""

import re

from services.payments.domain.payment import State
from services.payments.infrastructure.sandbox_gateway import SCENARIOS
from tests.contracts.canvas import first_column, section


def test_states_and_tokens_are_those_of_the_code() -> None:
    assert set(re.findall(r"\b[A-Z_]{4,}\b", section("payments", "Events in"))) == set(State)
    assert set(first_column(section("payments", "The sandbox gateway"))) == set(SCENARIOS)
