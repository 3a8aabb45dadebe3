"""`.env.example` is complete, and shows the defaults that are."""

import re
from importlib import import_module
from inspect import isclass
from pathlib import Path

import pytest
from pydantic import TypeAdapter
from pydantic.fields import FieldInfo

from deploy.services import SERVICES
from libs.runtime.settings import ServiceSettings

EXAMPLE = Path(__file__).parents[3] / ".env.example"
SETTING = re.compile(r"^(?P<off># )?(?P<name>[A-Z][A-Z_]+)=(?P<value>.*)$", re.MULTILINE)
READ_ELSEWHERE = {"MIGRATOR_DATABASE_URL", "OTEL_EXPORTER_OTLP_ENDPOINT"}
OF_EACH_SERVICE = {"SERVICE", "PORT", "MAX_BODY_BYTES"}


def shown() -> dict[str, tuple[str, bool]]:
    """The value of each setting in the file, and whether it is commented out."""
    found = SETTING.finditer(EXAMPLE.read_text())
    return {match["name"]: (match["value"], bool(match["off"])) for match in found}


def settings_of(service: str) -> dict[str, FieldInfo]:
    module = import_module(f"services.{service}.main")
    [settings] = [
        found
        for found in vars(module).values()
        if isclass(found) and issubclass(found, ServiceSettings) and found is not ServiceSettings
    ]
    return {name.upper(): field for name, field in settings.model_fields.items()}


def test_every_setting_is_in_the_example_and_nothing_else() -> None:
    there_are = set[str]().union(*(settings_of(spec.name) for spec in SERVICES))

    assert set(shown()) - READ_ELSEWHERE == there_are - {"SERVICE"}


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
