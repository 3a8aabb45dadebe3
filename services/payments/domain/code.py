"""A payment code is 75 random bits and a check symbol, written `XXXX-XXXX-XXXX-XXXX`.

The alphabet is Crockford's base 32, which has no I, L, O or U, so that a code can be read aloud.
Guessing one of a million open codes takes 2**55 tries on average, which no rate of requests
reaches.
"""

from services.payments.domain.errors import MistypedCode

RANDOM_BITS = 75
_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_LENGTH = 16
_LOOKALIKES = str.maketrans("OIL", "011", "- ")


def code_from(number: int) -> str:
    """Return the code for a random number of RANDOM_BITS bits."""
    symbols = [number >> 5 * place & 31 for place in range(_LENGTH - 1)]
    text = "".join(_ALPHABET[symbol] for symbol in [*symbols, _check_symbol(symbols)])
    return "-".join(text[start : start + 4] for start in range(0, _LENGTH, 4))


def parse_code(typed: str) -> str:
    """Return the code that a person typed. Case, spaces and dashes do not matter; O reads as 0, I
    and L as 1.

    Raises MistypedCode when it cannot be a code: any single wrong symbol and any two swapped
    symbols are noticed.
    """
    text = typed.upper().translate(_LOOKALIKES)
    symbols = [_ALPHABET.find(symbol) for symbol in text]
    if len(symbols) != _LENGTH or -1 in symbols or _check_symbol(symbols[:-1]) != symbols[-1]:
        raise MistypedCode
    return "-".join(text[start : start + 4] for start in range(0, _LENGTH, 4))


def _check_symbol(symbols: list[int]) -> int:
    """Each place has a weight of its own, a power of 2 in GF(32), so a swap changes the sum too."""
    check = 0
    for symbol in symbols:
        check = (check ^ symbol) << 1
        if check > 31:
            check ^= 0b100101
    return check
