"""Common passwords are refused, and phrases are accepted."""

import pytest

from services.portal.domain.errors import InvalidUser
from services.portal.domain.user import check_password


@pytest.mark.parametrize(
    "password",
    [
        "1234567890",
        "0987654321",
        "12345678901234567890",
        "aaaaaaaaaaaa",
        "abcabcabcabc",
        "abcdefghijkl",
        "qwertyuiop",
        "QWERTYUIOP",
        "1q2w3e4r5t",
        "password123",
        "Password2026!",
        "senha123456",
        "Contraseña1!",
        "mercadoveiculo",
    ],
)
def test_a_password_that_is_tried_first_is_refused(password: str) -> None:
    with pytest.raises(InvalidUser, match="too easy to guess"):
        check_password(password, email="somebody@example.com")


@pytest.mark.parametrize(
    "password",
    [
        "correct horse battery",
        "a long password",
        "7f3a9c21e8",
        "1234567890 e mais uma",
        "minha senha é longa",
        "passwordless signing in",
    ],
)
def test_a_phrase_and_a_random_password_are_taken(password: str) -> None:
    check_password(password, email="somebody@example.com")
