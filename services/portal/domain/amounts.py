"""Amounts and prices as people and spreadsheets write them."""

import re

LONGEST = 16
PLAUSIBLE_CENTS = range(2_000_00, 5_000_000_00 + 1)
"""Prices that a car sold second-hand or new has as a rule. One outside is asked about, because a
price in cents that was meant in reais, or the other way round, is a hundred times off."""

_SIGN = re.compile(r"^R\$ ?", re.IGNORECASE)
_AMOUNT = re.compile(r"(\d{1,3}(?:[. ]\d{3})+|\d{1,3}(?:,\d{3})+|\d+)(?:[.,](\d{1,2}))?", re.ASCII)


def cents_in(text: str) -> int | None:
    """`45900`, `45.900`, `45.900,00`, `45,900.00`, `R$ 45 900,5` -> cents; None: it is none."""
    plain = _SIGN.sub("", " ".join(text.split()))
    found = _AMOUNT.fullmatch(plain) if len(plain) <= LONGEST else None
    if found is None:
        return None
    whole, part = found.groups()
    return int(re.sub(r"\D", "", whole)) * 100 + int((part or "0").ljust(2, "0"))


def is_plausible(price_cents: int) -> bool:
    return price_cents in PLAUSIBLE_CENTS
