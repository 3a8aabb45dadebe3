"""A service gets its secrets in files, and none in its environment."""

from pathlib import Path

from deploy.installation import Installation
from deploy.passwords import Passwords
from deploy.secret_settings import SECRETS, with_files, write_secrets
from deploy.services import SERVICES


def settings(tmp_path: Path, number: int) -> dict[str, str]:
    services = {spec.name: f"http://127.0.0.1:{spec.port}" for spec in SERVICES}
    made = Installation("h:1", "h:2", "h:3", Passwords(tmp_path / "all.json"), tmp_path, services)
    return made.settings(SERVICES[number], "127.0.0.1", 1)


def test_no_password_and_no_key_of_a_service_stays_in_its_environment(tmp_path: Path) -> None:
    for number, spec in enumerate(SERVICES):
        whole = settings(tmp_path, number)
        folder = tmp_path / spec.name
        write_secrets(whole, folder)
        environment = with_files(whole, folder)
        for secret in Passwords(tmp_path / "all.json").names_like(""):
            value = Passwords(tmp_path / "all.json").key(secret)
            assert not [name for name, text in environment.items() if value in text], secret
        for name in SECRETS:
            if name in whole:
                file = Path(environment[f"{name}_FILE"])
                assert file.read_text().rstrip("\n") == whole[name]
                assert file.stat().st_mode & 0o777 == 0o600


def test_a_secret_that_the_folder_does_not_hold_as_it_is_stays_a_setting(tmp_path: Path) -> None:
    whole = settings(tmp_path, 0)
    write_secrets(whole, tmp_path / "own")
    other = {**whole, "DATABASE_URL": "postgresql://me@pgbouncer:6432/orders"}
    environment = with_files(other, tmp_path / "own")
    assert environment["DATABASE_URL"] == other["DATABASE_URL"]
    assert "DATABASE_URL_FILE" not in environment
    assert with_files(whole, tmp_path / "nowhere") == whole
