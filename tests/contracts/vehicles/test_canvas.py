"""The canvas of vehicles names states and the indexes that hold an invariant."""

import re

from services.vehicles.domain.reservation import State
from services.vehicles.infrastructure.tables import metadata
from tests.contracts.canvas import canvas_of, section


def test_states_and_indexes_are_those_of_the_code() -> None:
    assert set(re.findall(r"\b[A-Z_]{4,}\b", section("vehicles", "Events in"))) == set(State)
    indexes = {str(index.name) for table in metadata.sorted_tables for index in table.indexes}
    named = set(re.findall(r"`(\w+_(?:holds_a_vehicle|once_on_market))`", canvas_of("vehicles")))
    assert named == {name for name in indexes if name.endswith(("vehicle", "once_on_market"))}
