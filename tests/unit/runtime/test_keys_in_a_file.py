"""A new data key in a file counts without a restart."""

from pathlib import Path

import pytest

from libs.runtime import crypto
from libs.runtime.crypto import CannotDecrypt, Cipher, new_key, parse_cipher
from libs.runtime.secret_file_settings import FromFile


def cipher_of(file: Path, text: str) -> Cipher:
    file.write_text(text)
    return parse_cipher(FromFile(str(file), text))


def replace(file: Path, text: str) -> None:
    draft = file.with_suffix(".draft")
    draft.write_text(text)
    draft.replace(file)


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crypto, "LOOK_AGAIN_SECONDS", 0.0)
    monkeypatch.setattr(crypto, "UNKNOWN_KEY_SECONDS", 0.0)


def test_a_value_that_another_process_sealed_with_a_newer_key_opens(tmp_path: Path) -> None:
    old, new = f"1:{new_key()}", f"2:{new_key()}"
    here = cipher_of(tmp_path / "keys", old)
    replace(tmp_path / "keys", f"{new},{old}")
    there = parse_cipher(f"{new},{old}")
    assert here.decrypt(there.encrypt(b"x", "t.c:1"), "t.c:1") == b"x"


def test_the_first_key_of_the_file_seals(tmp_path: Path) -> None:
    old, new = f"1:{new_key()}", f"2:{new_key()}"
    cipher = cipher_of(tmp_path / "keys", old)
    replace(tmp_path / "keys", f"{new},{old}")
    assert cipher.current == "2"
    assert cipher.encrypt(b"x", "t.c:1")[1:2] == b"2"


@pytest.mark.parametrize("text", ["", "nonsense", "2:short"])
def test_a_file_that_cannot_be_used_changes_nothing(text: str, tmp_path: Path) -> None:
    cipher = cipher_of(tmp_path / "keys", f"1:{new_key()}")
    sealed = cipher.encrypt(b"x", "t.c:1")
    replace(tmp_path / "keys", text)
    assert cipher.current == "1"
    assert cipher.decrypt(sealed, "t.c:1") == b"x"
    (tmp_path / "keys").unlink()
    assert cipher.current == "1"


def test_an_unknown_key_is_still_named(tmp_path: Path) -> None:
    cipher = cipher_of(tmp_path / "keys", f"1:{new_key()}")
    with pytest.raises(CannotDecrypt, match="no key of id '9'"):
        cipher.decrypt(parse_cipher(f"9:{new_key()}").encrypt(b"x", "t.c:1"), "t.c:1")
