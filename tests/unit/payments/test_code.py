import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.payments.domain.code import RANDOM_BITS, code_from, parse_code
from services.payments.domain.errors import MistypedCode

numbers = st.integers(0, 2**RANDOM_BITS - 1)
ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


@given(numbers)
def test_a_code_reads_back_as_itself_however_it_is_typed(number: int) -> None:
    code = code_from(number)
    assert parse_code(code) == code
    assert parse_code(code.lower().replace("-", " ")) == code
    assert parse_code(code.replace("-", "").replace("0", "O").replace("1", "l")) == code


@given(st.sets(numbers, min_size=2, max_size=2))
def test_different_numbers_have_different_codes(pair: set[int]) -> None:
    assert len({code_from(number) for number in pair}) == 2


@given(numbers, st.integers(0, 15), st.integers(1, 31))
def test_one_wrong_symbol_is_noticed(number: int, place: int, shift: int) -> None:
    symbols = list(code_from(number).replace("-", ""))
    symbols[place] = ALPHABET[(ALPHABET.index(symbols[place]) + shift) % 32]
    with pytest.raises(MistypedCode):
        parse_code("".join(symbols))


@given(numbers, st.integers(0, 15), st.integers(0, 15))
def test_two_swapped_symbols_are_noticed(number: int, one: int, other: int) -> None:
    symbols = list(code_from(number).replace("-", ""))
    symbols[one], symbols[other] = symbols[other], symbols[one]
    typed = "".join(symbols)
    if typed == code_from(number).replace("-", ""):
        return
    with pytest.raises(MistypedCode):
        parse_code(typed)


@pytest.mark.parametrize("typed", ["", "-", "0" * 15, "0" * 17, "UUUU-UUUU-UUUU-UUUU", "é" * 16])
def test_a_text_that_cannot_be_a_code_is_mistyped(typed: str) -> None:
    with pytest.raises(MistypedCode):
        parse_code(typed)
