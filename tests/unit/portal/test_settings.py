"""The portal reads where its database and its links are, and signs people in by itself."""

from typing import Any

import pytest

from libs.runtime.crypto import new_key
from libs.runtime.migrations import MigrationSettings
from libs.runtime.settings import read_settings
from libs.runtime.start_failure import StartFailure
from services.portal.infrastructure.settings import PortalSettings

DB_URL = "postgresql+psycopg2://portal_app:${DB_PASSWORD}@db-prod:5432/portal?sslmode=require"
KEYS = {"data_keys": f"k1:{new_key()}", "index_key": new_key(), "role": "api"}


def settings(**values: Any) -> PortalSettings:
    return PortalSettings(**{"_env_file": None, **KEYS, **values})


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("DATABASE_URL", "MIGRATOR_DATABASE_URL", "DB_URL", "DB_PASSWORD", "AUTH"):
        monkeypatch.delenv(name, raising=False)


def test_db_url_takes_the_password_from_beside_it_whatever_signs_are_in_it() -> None:
    url = settings(db_url=DB_URL, db_password="p@ss/w:rd%20").database_place
    assert (url.drivername, url.host, url.port) == ("postgresql", "db-prod", 5432)
    assert (url.username, url.password, url.database) == ("portal_app", "p@ss/w:rd%20", "portal")


def test_database_url_wins_over_db_url() -> None:
    chosen = settings(database_url="postgresql://a:b@localhost/other", db_url=DB_URL)
    assert chosen.database_place.host == "localhost"


def test_db_url_without_its_password_is_one_clear_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DB_URL", DB_URL)
    with pytest.raises(StartFailure, match=r"DB_PASSWORD, which is not set") as failure:
        read_settings(MigrationSettings)
    assert "\n" not in str(failure.value)


def test_migrations_read_db_url_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DB_URL", DB_URL)
    monkeypatch.setenv("DB_PASSWORD", "secret")
    assert read_settings(MigrationSettings).database_place.password == "secret"


def test_the_portal_may_bind_anywhere_since_it_signs_people_in_itself() -> None:
    chosen = settings(db_url="postgresql://a:b@localhost/d", host="0.0.0.0", cursor_secret="x")
    assert chosen.auth == "off"
    assert not chosen.checks_peer_tokens


def test_auth_on_needs_no_jwks_url_of_its_own() -> None:
    assert settings(db_url="postgresql://a:b@localhost/d", auth="on").jwks_url == ""


@pytest.mark.parametrize(
    "wrong", ["market.example", "ftp://market.example", "https://", "http://x?y"]
)
def test_a_public_address_that_links_cannot_begin_with_is_one_line(
    monkeypatch: pytest.MonkeyPatch, wrong: str
) -> None:
    for name, value in {
        **KEYS,
        "database_url": "postgresql://a:b@localhost/d",
        "public_url": wrong,
    }.items():
        monkeypatch.setenv(name.upper(), value)
    with pytest.raises(StartFailure, match=r"^PUBLIC_URL: write it as https://market\.example$"):
        read_settings(PortalSettings)


def test_links_lead_to_the_public_address_or_else_to_the_portals_own_port() -> None:
    here = {"database_url": "postgresql://a:b@localhost/d", "port": 8123}
    assert settings(**here).public_address == "http://127.0.0.1:8123"
    public = settings(**here, public_url="https://market.example/shop/")
    assert public.public_address == "https://market.example/shop"


def test_the_mailbox_that_a_login_names_is_no_setting_of_ours(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MAIL", "/var/mail/root")
    assert settings(database_url="postgresql://a:b@localhost/d").mailer == "off"
