from pathlib import Path

from deploy.passwords import Passwords


def test_password_is_the_same_for_whoever_asks_later(tmp_path: Path) -> None:
    file = tmp_path / "secrets.json"

    assert Passwords(file).password("orders_app") == Passwords(file).password("orders_app")


def test_accounts_have_different_passwords(tmp_path: Path) -> None:
    passwords = Passwords(tmp_path / "secrets.json")

    assert passwords.password("orders_app") != passwords.password("payments_app")


def test_nobody_else_can_read_the_file(tmp_path: Path) -> None:
    file = tmp_path / "secrets.json"
    Passwords(file).key("customers data")

    assert file.stat().st_mode & 0o777 == 0o600
