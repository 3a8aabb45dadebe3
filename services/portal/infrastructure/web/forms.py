"""Users type numbers and amounts into the fields of forms."""

from typing import Annotated

from fastapi import Form, Query

from services.portal.domain.amounts import cents_in
from services.portal.infrastructure.language.i18n import marked

Text = Annotated[str, Form()]
Line = Annotated[str, Form(max_length=254)]
Secret = Annotated[str, Form(max_length=1000)]
Next = Annotated[str, Form(max_length=2000)]
"""This field says where to go on afterwards. `Back` brings it in the address of the form's page."""
Back = Annotated[str, Query(alias="next", max_length=2000)]

NO_NUMBER = marked("Write a whole number, such as 2021.")
NO_AMOUNT = marked("Write an amount, such as 45900 or 45.900,00.")
NO_LIMIT = marked("Write the limit, such as 45900 or 45.900,00.")


class NotANumber(ValueError):
    """`str(error)` is the text for the user. `field` is the name of the field."""

    def __init__(self, message: str, field: str) -> None:
        super().__init__(message)
        self.field = field


def number_of(text: str, field: str) -> int | None:
    """Return the number, or None where the field is empty. Raises NotANumber."""
    text = text.strip()
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise NotANumber(NO_NUMBER, field)
    return int(text)


def cents_of(text: str, field: str) -> int | None:
    """Return the cents, or None where the field is empty. Raises NotANumber."""
    if not text.strip():
        return None
    cents = cents_in(text)
    if cents is None:
        raise NotANumber(NO_AMOUNT, field)
    return cents


def limit_of(text: str, field: str) -> int:
    """Return the cents of a credit limit, which is required. Raises NotANumber."""
    cents = cents_of(text, field)
    if cents is None:
        raise NotANumber(NO_LIMIT, field)
    return cents


def amount_of(cents: int) -> str:
    """Return the text of `cents` in a field: `45900,00`."""
    return f"{cents // 100},{cents % 100:02}"
