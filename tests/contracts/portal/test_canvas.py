"""The canvas of the portal names the commands of a terminal."""

from libs.runtime.server import RESEAL
from services.portal.infrastructure import terminal
from tests.contracts.canvas import first_column, section


def test_commands_are_those_of_the_code() -> None:
    told = {line.split()[0] for line in first_column(section("portal", "From a terminal"))}
    commands = {
        each.name or (each.callback.__name__ if each.callback else "").replace("_", "-")
        for each in terminal.app.registered_commands
    }
    assert told == commands | {RESEAL}
