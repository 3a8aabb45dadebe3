"""Every secret can be read from a file, is read again when it changes, and is refused in one line
when it cannot be used.
"""

import os
import re
from importlib import import_module
from inspect import isclass
from pathlib import Path

import pytest

from deploy.services import SERVICES
from libs.messaging.__main__ import main
from libs.runtime.crypto import new_key
from libs.runtime.migrations import MigrationSettings
from libs.runtime.settings import ServiceSettings, read_settings
from libs.runtime.start_failure import StartFailure

LOOKS_SECRET = re.compile("password|secret|key|database_url|rabbitmq.*url|db_url")


class SomeSettings(ServiceSettings):
    service: str = "some"
    role: str = "api"  # type: ignore[assignment]


def settings_of(service: str) -> type[ServiceSettings]:
    [found] = [
        each
        for each in vars(import_module(f"services.{service}.main")).values()
        if isclass(each) and issubclass(each, ServiceSettings) and each is not ServiceSettings
    ]
    return found


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Take no setting from outside: the folder is empty and has no .env."""
    monkeypatch.chdir(tmp_path)
    for spec in SERVICES:
        for name in settings_of(spec.name).model_fields:
            monkeypatch.delenv(name.upper(), raising=False)
            monkeypatch.delenv(f"{name.upper()}_FILE", raising=False)


def secret(folder: Path, text: str, name: str = "secret") -> str:
    (folder / name).write_text(text)
    return str(folder / name)


@pytest.mark.parametrize("service", [spec.name for spec in SERVICES])
def test_every_secret_of_a_service_may_stand_in_a_file(
    service: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings_type = settings_of(service)
    url = "postgresql://me:secret@127.0.0.1/x"
    values = {
        "database_read_url": url,
        "rabbitmq_url": "amqp://me:secret@127.0.0.1/x",
        "rabbitmq_operator_url": "amqp://me:secret@127.0.0.1/x",
        "rabbitmq_management_url": "http://me:secret@127.0.0.1:15672",
        "data_keys": f"1:{new_key()}",
    }
    secrets = [name for name, field in settings_type.model_fields.items() if not field.repr]
    for name in secrets:
        value = values.get(name) or (url if name.endswith("database_url") else new_key())
        monkeypatch.setenv(f"{name.upper()}_FILE", secret(tmp_path, value + "\n", name))
    monkeypatch.setenv("ERASURE_LEDGER", str(tmp_path / "ledger"))
    settings = read_settings(settings_type)
    for name in secrets:
        assert settings.read_from[name] == tmp_path / name
        if isinstance(value := getattr(settings, name), str):
            assert value == (tmp_path / name).read_text().rstrip("\n")


@pytest.mark.parametrize("service", [spec.name for spec in SERVICES])
def test_every_field_that_looks_like_a_secret_counts_as_one(service: str) -> None:
    for name, field in settings_of(service).model_fields.items():
        assert not (field.repr and LOOKS_SECRET.search(name)), name


def test_a_password_beside_a_url_may_stand_in_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DB_URL", "postgresql://me:${DB_PASSWORD}@127.0.0.1/x")
    monkeypatch.setenv("DB_PASSWORD_FILE", secret(tmp_path, "p@ss\r\n"))
    assert read_settings(SomeSettings).database_place.password == "p@ss"


def test_the_environment_goes_before_dot_env_also_with_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = secret(tmp_path, "postgresql://file:x@127.0.0.1/x")
    (tmp_path / ".env").write_text(f"DATABASE_URL_FILE={file}\n")
    assert read_settings(SomeSettings).database_place.username == "file"
    monkeypatch.setenv("DATABASE_URL", "postgresql://environment:x@127.0.0.1/x")
    settings = read_settings(SomeSettings)
    assert settings.database_place.username == "environment"
    assert settings.read_from == {}


def test_the_migrators_url_goes_before_the_services_also_in_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = secret(tmp_path, "postgresql://app:x@127.0.0.1/x", "app")
    monkeypatch.setenv("DATABASE_URL_FILE", service)
    assert read_settings(MigrationSettings).database_place.username == "app"
    migrator = secret(tmp_path, "postgresql://migrator:x@127.0.0.1/x", "migrator")
    monkeypatch.setenv("MIGRATOR_DATABASE_URL_FILE", migrator)
    assert read_settings(MigrationSettings).database_place.username == "migrator"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "cannot be read: No such file or directory"),
        (b"", "is empty"),
        (b" \n", "is empty"),
        (b"one\ntwo\n", "holds more than one line"),
        (b"\xff\xfe", "is not text"),
        (b"x" * 70_000, "is longer than 64 KiB"),
    ],
)
def test_a_file_that_cannot_be_used_is_one_line_without_what_it_holds(
    content: bytes | None, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "file"
    if content is not None:
        file.write_bytes(content)
    monkeypatch.setenv("DATABASE_URL_FILE", str(file))
    with pytest.raises(StartFailure) as failure:
        read_settings(SomeSettings)
    assert str(failure.value) == f"DATABASE_URL_FILE: {file} {words}"


def test_a_folder_is_no_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL_FILE", str(tmp_path))
    with pytest.raises(StartFailure, match="cannot be read: Is a directory"):
        read_settings(SomeSettings)


def test_a_secret_that_is_set_twice_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://me:secret@127.0.0.1/x")
    monkeypatch.setenv("DATABASE_URL_FILE", secret(tmp_path, "postgresql://me@127.0.0.1/x"))
    with pytest.raises(StartFailure) as failure:
        read_settings(SomeSettings)
    line = "DATABASE_URL and DATABASE_URL_FILE are both set: leave one of them out"
    assert str(failure.value) == line


def test_a_written_file_is_read_again_and_nonsense_in_it_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = secret(tmp_path, "postgresql://me:one@127.0.0.1/x")
    monkeypatch.setenv("DATABASE_URL_FILE", file)
    dsn = read_settings(SomeSettings).current_dsn
    assert not isinstance(dsn, str)
    assert dsn() == "postgresql://me:one@127.0.0.1/x"
    for text, seen in (("two", "two"), ("", "one"), ("three", "three")):
        Path(file).write_text(text and f"postgresql://me:{text}@127.0.0.1/x")
        assert dsn() == f"postgresql://me:{seen}@127.0.0.1/x"
    Path(file).write_text("nonsense")
    assert dsn() == "postgresql://me:one@127.0.0.1/x"
    Path(file).unlink()
    assert dsn() == "postgresql://me:one@127.0.0.1/x"


def test_the_command_line_of_the_broker_reads_files_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The command line sets the variable, which no other test may see."""
    monkeypatch.setattr(os, "environ", os.environ.copy())
    monkeypatch.setenv("RABBITMQ_URL_FILE", str(tmp_path / "nowhere"))
    with pytest.raises(SystemExit, match=r"^error: RABBITMQ_URL_FILE: .*nowhere cannot be read"):
        main(["topology", "apply"])
    monkeypatch.setenv("RABBITMQ_URL_FILE", secret(tmp_path, "http://me:secret@mq"))
    with pytest.raises(SystemExit, match=r"^error: RABBITMQ_URL: does not begin with amqp://"):
        main(["topology", "apply"])
