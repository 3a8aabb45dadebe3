import json
from pathlib import Path

import pytest

from deploy.passwords import Passwords
from libs.runtime.start_failure import StartFailure


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


def test_a_replaced_password_is_another_and_every_holder_of_the_file_sees_it(
    tmp_path: Path,
) -> None:
    here, there = Passwords(tmp_path / "all.json"), Passwords(tmp_path / "all.json")
    before = here.password("orders_app")
    assert there.password("orders_app") == before
    after = there.replace("orders_app")
    assert after != before
    assert here.password("orders_app") == after


def test_a_new_key_is_first_and_old_ones_are_kept_when_they_are_not_used_any_more(
    tmp_path: Path,
) -> None:
    everything = Passwords(tmp_path / "all.json")
    first = everything.key("portal data")
    assert everything.keys("portal data") == {"1": first}
    everything.add_key("portal data")
    assert list(everything.keys("portal data")) == ["2", "1"]
    everything.retire_old_keys("portal data")
    assert list(everything.keys("portal data")) == ["2"]
    assert everything.key("portal data") == first, "for backups from before"
    for _ in range(9):
        everything.add_key("portal data")
    assert list(everything.keys("portal data"))[:2] == ["11", "10"]


def test_a_reader_of_keys_gets_those_in_use_only(tmp_path: Path) -> None:
    everything = Passwords(tmp_path / "all.json")
    everything.keys("portal data")
    everything.add_key("portal data")
    both = Passwords(tmp_path / "both.json", of=everything)
    assert both.keys("portal data") == everything.keys("portal data")
    everything.retire_old_keys("portal data")
    handed = Passwords(tmp_path / "handed.json", of=everything)
    assert handed.keys("portal data") == everything.keys("portal data")
    assert list(json.loads((tmp_path / "handed.json").read_text())) == ["portal data 2"]


def test_a_secret_that_was_not_handed_over_is_named_where_none_can_be_made(tmp_path: Path) -> None:
    folder = tmp_path / "handed"
    handed = Passwords(folder / "secrets.json")  # a folder that does not exist takes no file

    with pytest.raises(StartFailure, match=r"handed/secrets\.json has no secret 'orders_app'"):
        handed.password("orders_app")
