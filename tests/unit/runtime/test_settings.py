"""Settings are read from the environment and `.env`, or refused in one line."""

from pathlib import Path

import pytest

from libs.runtime.settings import ServiceSettings, read_settings
from libs.runtime.start_failure import StartFailure, one_line_errors

URL = "postgresql://me:secret@127.0.0.1:5432/x"


ISSUER = {"JWKS_URL": "/x", "JWT_ISSUER": "us", "JWT_AUDIENCE": "us"}


class SomeSettings(ServiceSettings):
    service: str = "some"


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Take no setting from outside but these variables: the folder is empty and has no .env."""
    monkeypatch.chdir(tmp_path)
    for name in SomeSettings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv("DATABASE_URL", URL)
    monkeypatch.setenv("ROLE", "api")


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({"DATABASE_URL": ""}, "DATABASE_URL: not set"),
        ({"DATABASE_URL": "", "POSTGRES_USER": "me"}, "POSTGRES_PASSWORD, POSTGRES_DB"),
        ({"DATABASE_URL": "mysql://me:secret@db/x"}, "not a Postgres URL"),
        ({"DATABASE_URL": "postgresql://me:secret@db:port/x"}, "DATABASE_URL"),
        ({"DATABASE_URL": "postgresql://me:secret@db"}, "names no database"),
        ({"DATABASE_URL": "nonsense"}, "DATABASE_URL"),
        ({"POOL_SIZE": "50"}, "POOL_SIZE"),
        ({"ROLE": "boss"}, "ROLE"),
        ({"PORT": "70000"}, "PORT"),
        ({"PORT": "secret"}, "PORT"),
        ({"ROLE": "all"}, "RABBITMQ_URL is not set"),
        ({"ROLE": "worker"}, "RABBITMQ_URL is not set"),
        ({"ROLE": "all", "RABBITMQ_URL": "http://me:secret@mq/"}, "RABBITMQ_URL"),
        ({"HOST": "0.0.0.0"}, "AUTH=off serves loopback only"),
        ({"HOST": "::"}, "AUTH=off serves loopback only"),
        ({"HOST": "0.0.0.0", "AUTH_OFF_BIND_ANY": "true"}, "CURSOR_SECRET is not set"),
        ({"HOST": "0.0.0.0", "AUTH": "on"} | ISSUER, "CURSOR_SECRET is not set"),
        ({"AUTH": "on", "JWKS_URL": "/x"}, "JWT_ISSUER or JWT_AUDIENCE is not set"),
        ({"AUTH": "on"}, "JWKS_URL is not set"),
        # Replayed after an inbox has dropped the first copy's row, an event would have two effects.
        ({"OUTBOX_RETENTION_DAYS": "14"}, "OUTBOX_RETENTION_DAYS: Input should be less"),
    ],
)
def test_a_wrong_setting_is_one_line_and_exit_code_2(
    environment: dict[str, str],
    words: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit) as end, one_line_errors():
        read_settings(SomeSettings)
    assert end.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ")
    assert words in line
    assert "secret" not in line


def test_a_url_that_cannot_be_used_is_one_line_that_names_the_setting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://me:secret@db/x?sslmode=on")
    with pytest.raises(StartFailure) as failure:
        read_settings(SomeSettings)
    assert str(failure.value).startswith("DATABASE_URL: sslmode is one of disable, allow, prefer")


def test_the_parts_make_a_url_when_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DATABASE_URL")
    parts = {"USER": "me", "PASSWORD": "p@ss:/word", "DB": "x", "HOST": "::1", "PORT": "5433"}
    for name, value in parts.items():
        monkeypatch.setenv(f"POSTGRES_{name}", value)
    url = read_settings(SomeSettings).database_place
    assert (url.username, url.password, url.host, url.port) == ("me", "p@ss:/word", "::1", 5433)


def test_dot_env_is_read_and_the_environment_wins(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("DATABASE_URL")
    (tmp_path / ".env").write_text(f"DATABASE_URL={URL}\nPORT=1\nSOMETHING_ELSE=x\n")
    monkeypatch.setenv("PORT", "2")
    settings = read_settings(SomeSettings)
    assert settings.database_place.host == "127.0.0.1"
    assert settings.port == 2


def test_settings_show_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RABBITMQ_URL", "amqp://me:secret@localhost/")
    monkeypatch.setenv("CURSOR_SECRET", "secret")
    settings = read_settings(SomeSettings)
    assert settings.database_dsn == "postgresql://me:secret@127.0.0.1:5432/x"
    assert "secret" not in repr(settings)


def test_settings_cannot_be_changed() -> None:
    settings = read_settings(SomeSettings)
    with pytest.raises(ValueError, match="frozen"):
        settings.port = 1  # type: ignore[misc]


@pytest.mark.parametrize(
    ("role", "serves", "works", "relays"),
    [
        ("all", True, True, True),
        ("api", True, False, False),
        ("worker", False, True, False),
        ("relay", False, False, True),
    ],
)
def test_the_role_decides_what_runs(
    role: str, serves: bool, works: bool, relays: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROLE", role)
    monkeypatch.setenv("RABBITMQ_URL", "amqp://localhost/")
    settings = read_settings(SomeSettings)
    assert (settings.serves_api, settings.works, settings.relays) == (serves, works, relays)


def test_a_worker_may_bind_any_address_for_its_probes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROLE", "worker")
    monkeypatch.setenv("RABBITMQ_URL", "amqp://localhost/")
    monkeypatch.setenv("HOST", "0.0.0.0")
    assert read_settings(SomeSettings).host == "0.0.0.0"


@pytest.mark.parametrize(
    "wrong", ["*", "10.0.0.0/33", "proxy.example", "10.0.0.1/8", "127.0.0.1,x"]
)
def test_a_proxy_that_is_no_address_is_one_line(
    monkeypatch: pytest.MonkeyPatch, wrong: str
) -> None:
    monkeypatch.setenv("RABBITMQ_URL", "amqp://localhost/")
    monkeypatch.setenv("TRUSTED_PROXIES", wrong)
    with pytest.raises(StartFailure, match=r"^TRUSTED_PROXIES: .*such as 10\.0\.0\.0/8$"):
        read_settings(SomeSettings)


def test_a_trusted_proxy_is_known_by_its_address_in_ipv4_and_in_ipv6(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("RABBITMQ_URL", "amqp://localhost/")
    monkeypatch.setenv("TRUSTED_PROXIES", " 10.1.0.0/16, 127.0.0.1,fd00::/8 ,")
    settings = read_settings(SomeSettings)
    for address in ("10.1.2.3", "::ffff:10.1.2.3", "127.0.0.1", "fd00::7"):
        assert settings.is_proxy(address)
    for address in ("10.2.0.1", "::ffff:10.2.0.1", "127.0.0.2", "fe80::1", "", "a socket"):
        assert not settings.is_proxy(address)


def test_a_failure_of_many_lines_is_logged_in_one(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit), one_line_errors():
        raise StartFailure("first\nsecond")
    assert capsys.readouterr().err == "error: first second\n"
