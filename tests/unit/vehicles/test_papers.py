import pytest

from libs.kernel.errors import Invalid
from services.vehicles.domain.papers import Papers
from tests.unit.vehicles.samples import renavam

PLATE, CHASSIS_NUMBER, RENAVAM = "ABC1D23", "9BWZZZ377VT004251", renavam(72620312)


def papers(
    plate: str = PLATE,
    chassis_number: str = CHASSIS_NUMBER,
    renavam: str = RENAVAM,
    year: int = 2022,
) -> Papers:
    return Papers.checked(plate=plate, chassis_number=chassis_number, renavam=renavam, year=year)


@pytest.mark.parametrize(
    ("given", "kept"),
    [("ABC1234", "ABC1234"), ("abc-1234", "ABC1234"), (" ABC1D23 ", "ABC1D23")],
)
def test_plate_is_kept_in_one_spelling(given: str, kept: str) -> None:
    assert papers(plate=given).plate == kept


@pytest.mark.parametrize(
    "plate", ["", "ABC123", "ABC12345", "AB1C234", "ABCD123", "ABC12D3", "ABC١234", "A-BC-1234"]
)
def test_plate_of_another_shape_is_refused(plate: str) -> None:
    with pytest.raises(Invalid) as refused:
        papers(plate=plate)
    assert refused.value.field == "plate"


def test_plate_is_the_same_one_in_its_old_and_its_mercosul_form() -> None:
    assert papers(plate="ABC1234").unique_plate == papers(plate="ABC1C34").unique_plate
    assert papers(plate="ABC1234").unique_plate != papers(plate="ABC1D34").unique_plate


def test_brazilian_chassis_number_needs_no_check_digit() -> None:
    assert papers(chassis_number="9bwzzz377vt004251").chassis_number == "9BWZZZ377VT004251"


def test_american_chassis_number_with_its_check_digit_is_accepted() -> None:
    assert papers(chassis_number="1HGCM82633A004352").chassis_number == "1HGCM82633A004352"


@pytest.mark.parametrize(
    "chassis_number",
    [
        "1HGCM82643A004352",
        "9BWZZZ377VT00425",
        "9BWZZZ377VT0042511",
        "9BWZZZ377VTO04251",
        "9BWZZZ377VT00425\x00",
        "",
    ],
)
def test_chassis_number_that_cannot_be_is_refused(chassis_number: str) -> None:
    with pytest.raises(Invalid) as refused:
        papers(chassis_number=chassis_number)
    assert refused.value.field == "chassis_number"


@pytest.mark.parametrize(
    ("given", "kept"),
    [("bj 123.456", "BJ123456"), ("147A0123456", "147A0123456"), ("9BWZZZ377VT004251",) * 2],
)
def test_chassis_number_of_before_the_standard_may_be_shorter(given: str, kept: str) -> None:
    assert papers(chassis_number=given, year=1986).chassis_number == kept


@pytest.mark.parametrize(
    ("number", "year"), [("BJ123456", 1987), ("123", 1974), ("BJ_12345", 1974)]
)
def test_short_chassis_number_of_a_newer_vehicle_is_refused(number: str, year: int) -> None:
    with pytest.raises(Invalid) as refused:
        papers(chassis_number=number, year=year)
    assert refused.value.field == "chassis_number"


def test_renavam_of_nine_digits_is_filled_with_zeros() -> None:
    assert papers(renavam=RENAVAM.lstrip("0")).renavam == RENAVAM


@pytest.mark.parametrize(
    "number",
    [RENAVAM[:-1] + str((int(RENAVAM[-1]) + 1) % 10), "0" * 11, "", "123", "abc", "1" * 12],
)
def test_renavam_that_cannot_be_is_refused(number: str) -> None:
    with pytest.raises(Invalid) as refused:
        papers(renavam=number)
    assert refused.value.field == "renavam"


def test_masked_papers_show_the_last_characters_only() -> None:
    masked = papers().masked()
    assert (masked.plate, masked.chassis_number) == ("*****23", "*************4251")
    assert masked.renavam == "*" * 9 + RENAVAM[-2:]


def test_a_masked_short_chassis_number_hides_most_of_it() -> None:
    assert papers(chassis_number="BJ123456", year=1974).masked().chassis_number == "******56"


def test_papers_stay_out_of_repr() -> None:
    assert not {PLATE, CHASSIS_NUMBER, RENAVAM} & set(repr(papers()).split("'"))
    assert PLATE not in repr(papers())


@pytest.mark.parametrize("field", ["plate", "chassis_number", "renavam"])
def test_refusal_does_not_repeat_the_value(field: str) -> None:
    with pytest.raises(Invalid) as refused:
        papers(**{field: "CANARY-9"})  # type: ignore[arg-type]  # none of them is the year
    assert "CANARY" not in str(refused.value)
