"""What people type into fields, read as what they mean."""

import re

from services.portal.infrastructure.i18n import marked

NO_NUMBER = marked("Write a whole number, such as 2021.")
NO_AMOUNT = marked("Write an amount, such as 45900 or 45.900,00.")

_AMOUNT = re.compile(r"(\d{1,3}(?:[.  ]\d{3})+|\d{1,3}(?:,\d{3})+|\d+)(?:[.,](\d{1,2}))?", re.ASCII)


class NotANumber(ValueError):
    """`str(error)` is for the person; `field` is where it stands."""

    def __init__(self, message: str, field: str) -> None:
        super().__init__(message)
        self.field = field


def number_of(text: str, field: str) -> int | None:
    """None where nothing was typed. Raises NotANumber."""
    text = text.strip()
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise NotANumber(NO_NUMBER, field)
    return int(text)


def cents_of(text: str, field: str) -> int | None:
    """`45900`, `45.900`, `45.900,00`, `45,900.00`, `R$ 45 900,5` -> cents. Raises NotANumber."""
    text = text.strip().removeprefix("R$").strip()
    if not text:
        return None
    match = _AMOUNT.fullmatch(text)
    if match is None or len(text) > 16:
        raise NotANumber(NO_AMOUNT, field)
    whole, part = match.groups()
    return int(re.sub(r"\D", "", whole)) * 100 + int((part or "0").ljust(2, "0"))


def amount_of(cents: int) -> str:
    """How `cents` stands in a field: `45900,00`."""
    return f"{cents // 100},{cents % 100:02}"
