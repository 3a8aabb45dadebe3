"""Forms read numbers and amounts as people write them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.portal.infrastructure.web.forms import NotANumber, amount_of, cents_of, number_of


@pytest.mark.parametrize(
    ("text", "cents"),
    [
        ("", None),
        ("45900", 45_900_00),
        ("45.900", 45_900_00),
        ("45,900", 45_900_00),
        ("45.900,00", 45_900_00),
        ("45,900.00", 45_900_00),
        ("R$ 45.900,5", 45_900_50),
        ("r$45900", 45_900_00),
        ("R$\xa0 45.900,00 ", 45_900_00),
        ("45 900,05", 45_900_05),
        ("1.234.567,89", 1_234_567_89),
        ("0,99", 99),
    ],
)
def test_an_amount_is_read_as_it_is_meant(text: str, cents: int | None) -> None:
    assert cents_of(text, "price") == cents


@pytest.mark.parametrize("text", ["cheap", "-5", "1.2.3", "45.90.0", "1e5", "٣٤", "9" * 20])
def test_an_amount_that_cannot_be_read_is_refused_with_its_field(text: str) -> None:
    with pytest.raises(NotANumber) as refused:
        cents_of(text, "price")
    assert refused.value.field == "price"


@given(st.integers(min_value=0, max_value=10**11))
def test_an_amount_shown_in_a_field_is_read_back(cents: int) -> None:
    assert cents_of(amount_of(cents), "price") == cents


def test_whole_numbers_are_whole() -> None:
    assert number_of(" 2021 ", "year") == 2021
    assert number_of("", "year") is None
    for text in ("2021.5", "²", "-1", "1" * 10):
        with pytest.raises(NotANumber):
            number_of(text, "year")
