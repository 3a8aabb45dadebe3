"""A sealed value opens only with its key and in its place. The blind index needs its key."""

import secrets

import pytest
from pydantic import TypeAdapter, ValidationError

from libs.runtime.crypto import (
    BlindIndex,
    BlindIndexSetting,
    CannotDecrypt,
    Cipher,
    CipherSetting,
    DataKeys,
    new_key,
)

OLD, NEW = secrets.token_bytes(32), secrets.token_bytes(32)


def test_a_sealed_value_opens_again_and_hides_its_content() -> None:
    cipher = Cipher({"k1": OLD}, "k1")
    sealed = cipher.encrypt(b"BRA2E19", "vehicles.plate:1")
    assert b"BRA2E19" not in sealed
    assert cipher.decrypt(sealed, "vehicles.plate:1") == b"BRA2E19"


def test_the_same_value_is_sealed_differently_each_time() -> None:
    cipher = Cipher({"k1": OLD}, "k1")
    assert cipher.encrypt(b"same", "x") != cipher.encrypt(b"same", "x")


def test_a_value_names_its_key_so_old_values_open_after_a_new_key() -> None:
    sealed = Cipher({"k1": OLD}, "k1").encrypt(b"value", "x")
    both = Cipher({"k2": NEW, "k1": OLD}, "k2")
    assert both.decrypt(sealed, "x") == b"value"
    assert both.encrypt(b"value", "x")[1:3] == b"k2"


def test_a_value_moved_to_another_place_does_not_open() -> None:
    cipher = Cipher({"k1": OLD}, "k1")
    with pytest.raises(CannotDecrypt, match=r"a value of vehicles\.plate"):
        cipher.decrypt(cipher.encrypt(b"value", "vehicles.plate:1"), "vehicles.plate:2")


@pytest.mark.parametrize("sealed", [b"", b"\x02k1", b"\x02k1" + bytes(12), b"\x02k9" + bytes(40)])
def test_a_mangled_value_is_refused(sealed: bytes) -> None:
    with pytest.raises(CannotDecrypt):
        Cipher({"k1": OLD}, "k1").decrypt(sealed, "x")


def test_a_record_without_its_data_key_cannot_be_opened_by_the_master() -> None:
    keys = DataKeys(Cipher({"k1": OLD}, "k1"))
    wrapped, other = keys.create("customers:1"), keys.create("customers:2")
    sealed = keys.open(wrapped, "customers:1").encrypt(b"Ana", "customers.name:1")
    assert keys.open(wrapped, "customers:1").decrypt(sealed, "customers.name:1") == b"Ana"
    with pytest.raises(CannotDecrypt):
        keys.open(other, "customers:2").decrypt(sealed, "customers.name:1")
    with pytest.raises(CannotDecrypt):
        keys.master.decrypt(sealed, "customers.name:1")


def test_the_blind_index_is_stable_keyed_and_labelled() -> None:
    index = BlindIndex(OLD)
    assert index.of("1", "a") == BlindIndex(OLD).of("1", "a")
    different = {index.of("1", "a"), BlindIndex(NEW).of("1", "a"), index.of("1", "b")}
    assert len(different | {index.of("2", "a"), index.of("a1"), index.of("1a")}) == 6


def test_settings_parse_keys_with_the_current_one_first() -> None:
    cipher = TypeAdapter(CipherSetting).validate_python(f"k2:{new_key()},k1:{new_key()}")
    assert cipher.encrypt(b"", "x")[1:3] == b"k2"
    assert TypeAdapter(BlindIndexSetting).validate_python(new_key()).of("x")


@pytest.mark.parametrize("text", ["", "k1", "k1:c2hvcnQ=", "k1:no base64", ":" + "A" * 43 + "="])
def test_a_malformed_key_is_refused(text: str) -> None:
    with pytest.raises(ValidationError, match="expected"):
        TypeAdapter(CipherSetting).validate_python(text)
    with pytest.raises(ValidationError, match="expected"):
        TypeAdapter(BlindIndexSetting).validate_python(text)


def test_a_key_id_given_twice_is_refused() -> None:
    with pytest.raises(ValidationError, match="each id once"):
        TypeAdapter(CipherSetting).validate_python(f"k1:{new_key()},k1:{new_key()}")
