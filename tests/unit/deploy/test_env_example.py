"""`.env.example` lists every setting with its real default."""

import re
from importlib import import_module
from inspect import isclass
from pathlib import Path

import pytest
from pydantic import TypeAdapter
from pydantic.fields import FieldInfo

from deploy.services import SERVICES
from libs.runtime.settings import ServiceSettings
from tests.fixtures.compose import compose_text

EXAMPLE = Path(__file__).parents[3] / ".env.example"
SETTING = re.compile(r"^(?P<off># )?(?P<name>[A-Z][A-Z_]+)=(?P<value>.*)$", re.MULTILINE)
READ_ELSEWHERE = {"MIGRATOR_DATABASE_URL"}
OF_COMPOSE = re.compile(r"\$\{([A-Z_]+)(?::-([^}$]*)\})?")
OF_EACH_SERVICE = {"SERVICE", "PORT", "MAX_BODY_BYTES"}


def shown() -> dict[str, tuple[str, bool]]:
    """Return the value of each setting in the file, and whether it is commented out."""
    found = SETTING.finditer(EXAMPLE.read_text())
    return {match["name"]: (match["value"], bool(match["off"])) for match in found}


def of_compose() -> dict[str, str]:
    """Return the variables that compose.yaml reads, with their defaults."""
    found = OF_COMPOSE.findall(compose_text())
    return {name: default for name, default in found if name != "PWD"}


def settings_type(service: str) -> type[ServiceSettings]:
    module = import_module(f"services.{service}.main")
    [settings] = [
        found
        for found in vars(module).values()
        if isclass(found) and issubclass(found, ServiceSettings) and found is not ServiceSettings
    ]
    return settings


def settings_of(service: str) -> dict[str, FieldInfo]:
    fields = settings_type(service).model_fields
    return {name.upper(): field for name, field in fields.items() if name != "read_from"}


def test_every_setting_is_in_the_example_and_nothing_else() -> None:
    there_are = set[str]().union(*(settings_of(spec.name) for spec in SERVICES))

    assert set(shown()) - READ_ELSEWHERE == (there_are | of_compose().keys()) - {"SERVICE"}


def test_each_variable_of_compose_is_in_the_example_with_its_default() -> None:
    assert of_compose()["ORDERS_PORT"] == "8000"
    for name, default in of_compose().items():
        value, commented_out = shown()[name]
        assert commented_out, name
        assert value == default or name in ("AUTH", "COMPOSE_PROJECT_NAME", "PUBLIC_URL"), name


@pytest.mark.parametrize("service", [spec.name for spec in SERVICES])
def test_defaults_in_the_example_are_the_real_ones(service: str) -> None:
    for name, field in settings_of(service).items():
        if name in OF_EACH_SERVICE or field.is_required():
            continue
        value, commented_out = shown()[name]
        if commented_out:
            assert TypeAdapter(field.annotation or str).validate_python(value) == field.default, (
                name
            )
