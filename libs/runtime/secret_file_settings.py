"""The secrets of settings may stand in files: NAME_FILE stands for NAME.

The files are read again for each new connection (`DatabaseSettings.now`), so a password that was
changed there counts without a restart.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from pydantic import AliasChoices
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, EnvSettingsSource, PydanticBaseSettingsSource

from libs.kernel.secret_files import SecretFileError, secret_in
from libs.runtime.start_failure import StartFailure


class FromFile(str):
    """This is the content of a file with its path, for settings that read it again."""

    __slots__ = ("file",)
    file: Path

    def __new__(cls, path: str, text: str) -> Self:
        made = super().__new__(cls, text)
        made.file = Path(path)
        return made


class SecretFiles(PydanticBaseSettingsSource):
    """This reads secrets from the files that variables of `sources` name; the first source that
    names a secret or its file counts. A secret is a field that `repr` does not show.

    Raises StartFailure for a file that cannot be used, and where a source names secret and file.
    """

    def __init__(
        self, settings_type: type[BaseSettings], *sources: PydanticBaseSettingsSource
    ) -> None:
        super().__init__(settings_type)
        self._places = [each.env_vars for each in sources if isinstance(each, EnvSettingsSource)]

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """Pydantic asks its own sources for one field at a time, but not this one."""
        raise NotImplementedError

    def __call__(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        files: dict[str, Path] = {}
        for name, field in self.settings_cls.model_fields.items():
            if field.repr or name in self.current_state:
                continue
            for spelt in _names(name, field):
                place = self._first_with(spelt)
                if path := place.get(f"{spelt}_file"):
                    files[name] = Path(path)
                    found[spelt] = FromFile(path, _secret(path, spelt.upper(), place.get(spelt)))
                if place:
                    break
        return found | ({"read_from": files} if files else {})

    def _first_with(self, name: str) -> Mapping[str, str | None]:
        for variables in self._places:
            if variables.get(name) or variables.get(f"{name}_file"):
                return variables
        return {}


def _secret(path: str, name: str, itself: str | None) -> str:
    try:
        return secret_in(path, name, itself)
    except SecretFileError as error:
        raise StartFailure(str(error)) from None


def _names(name: str, field: FieldInfo) -> list[str]:
    """Return the field's names in the environment, in lower case. The first that is set counts."""
    alias = field.validation_alias
    if isinstance(alias, AliasChoices):
        return [str(choice) for choice in alias.choices]
    return [name]
