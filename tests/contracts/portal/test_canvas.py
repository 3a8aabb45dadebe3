"""The service's README says what the code does: endpoints, events, settings, commands."""

import re
from pathlib import Path

from libs.runtime.crypto import new_key
from libs.runtime.service import RESEAL
from libs.runtime.settings import ServiceSettings
from services.portal.infrastructure import terminal
from services.portal.infrastructure.settings import PortalSettings
from services.portal.main import build

CANVAS = (Path(__file__).parents[3] / "services/portal/README.md").read_text()


def section(title: str) -> str:
    return re.split(r"^## ", CANVAS.split(f"## {title}")[1], maxsplit=1, flags=re.MULTILINE)[0]


def first_column(title: str) -> set[str]:
    return set(re.findall(r"^\| `([^`]+)` \|", section(title), flags=re.MULTILINE))


async def test_endpoints_are_those_of_the_code() -> None:
    settings = PortalSettings(
        _env_file=None,
        role="api",
        database_url="postgresql://nobody@localhost/nothing",
        data_keys=f"k1:{new_key()}",
        index_key=new_key(),
    )
    served = {
        f"{method} {route.path}"  # type: ignore[attr-defined]
        for router in build(settings).routers
        for route in router.routes
        if route.include_in_schema  # type: ignore[attr-defined]
        for method in route.methods  # type: ignore[attr-defined]
    }
    assert first_column("HTTP in") == served
    assert f"(port {PortalSettings.model_fields['port'].default})" in CANVAS


def test_settings_and_commands_are_those_of_the_code() -> None:
    own = PortalSettings.model_fields.keys() - ServiceSettings.model_fields.keys()
    assert first_column("Settings of its own") == {name.upper() for name in own}
    told = {line.split()[0] for line in first_column("From a terminal")}
    commands = {
        each.name or (each.callback.__name__ if each.callback else "").replace("_", "-")
        for each in terminal.app.registered_commands
    }
    assert told == commands | {RESEAL}
