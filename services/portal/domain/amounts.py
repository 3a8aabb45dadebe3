"""People and spreadsheets write amounts and prices in many forms."""

import re

LONGEST = 16
PLAUSIBLE_CENTS = range(2_000_00, 5_000_000_00 + 1)
"""These are usual prices of a used or new car. The user has to confirm another price, because a
mix-up of cents and reais changes it by a factor of a hundred.
"""

_SIGN = re.compile(r"^R\$ ?", re.IGNORECASE)
_AMOUNT = re.compile(r"(\d{1,3}(?:[. ]\d{3})+|\d{1,3}(?:,\d{3})+|\d+)(?:[.,](\d{1,2}))?", re.ASCII)


def cents_in(text: str) -> int | None:
    """Return the cents in a text such as `45900`, `45.900,00`, `45,900.00` or `R$ 45 900,5`, or
    None where it is no amount.
    """
    plain = _SIGN.sub("", " ".join(text.split()))
    found = _AMOUNT.fullmatch(plain) if len(plain) <= LONGEST else None
    if found is None:
        return None
    whole, part = found.groups()
    return int(re.sub(r"\D", "", whole)) * 100 + int((part or "0").ljust(2, "0"))


def is_plausible(price_cents: int) -> bool:
    return price_cents in PLAUSIBLE_CENTS
