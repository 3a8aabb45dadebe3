"""A vehicle file is read row by row; what is wrong with it is said where it is wrong."""

import pytest

from libs.kernel.errors import Invalid
from services.portal.domain.vehicle_file import MAX_BYTES, MAX_ROWS, read_vehicle_file

HEADER = "make,model,year,colour,price_cents,plate,chassis_number,renavam"
GOL = "Volkswagen,Gol,2022,prata,4590000,ABC1D23,9BWZZZ377VT004251,12345678900"
UNO = "Fiat,Uno,2015,branco,2190000,DEF2G34,9BD15822AF6123456,98765432103"


def csv(*rows: str, header: str = HEADER) -> bytes:
    return "\n".join([header, *rows]).encode()


def refused(content: bytes) -> str:
    with pytest.raises(Invalid) as refusal:
        read_vehicle_file(content)
    return str(refusal.value)


def test_each_row_is_one_vehicle() -> None:
    file = read_vehicle_file(csv(GOL, UNO))
    assert [row.row for row in file.rows] == [2, 3]
    assert file.rows[1].values["model"] == "Uno"
    assert file.errors == []
    assert file.total == 2


def test_a_spreadsheet_in_portuguese_writes_semicolons_a_mark_and_carriage_returns() -> None:
    text = "\r\n".join([HEADER, GOL, ""]).replace(",", ";")
    file = read_vehicle_file(b"\xef\xbb\xbf" + text.encode())
    assert file.rows[0].values["make"] == "Volkswagen"


def test_headers_may_be_spelt_with_capitals_and_spaces() -> None:
    header = "Make,Model,Year,Colour,Price cents,Plate,Chassis number,Renavam"
    assert len(read_vehicle_file(csv(GOL, header=header)).rows) == 1


def test_empty_rows_are_passed_over_and_keep_their_numbers() -> None:
    file = read_vehicle_file(csv(GOL, ",,,,,,,", "", UNO))
    assert [row.row for row in file.rows] == [2, 5]


def test_an_error_names_its_row_and_its_field() -> None:
    file = read_vehicle_file(csv(GOL, UNO.replace("2015", "MMXV").replace("2190000", "")))
    found = [(error.row, error.field, error.reason) for error in file.errors]
    assert found == [
        (3, "year", "This is a whole number, digits only."),
        (3, "price_cents", "This is missing."),
    ]
    assert len(file.rows) == 1
    assert file.total == 2


@pytest.mark.parametrize("number", ["-5", "1.5", "٣", "1e9", "+1", "9" * 16])
def test_a_number_has_digits_only_and_not_too_many(number: str) -> None:
    (error,) = read_vehicle_file(csv(GOL.replace("4590000", number))).errors
    assert error.field == "price_cents"


def test_a_row_of_another_length_is_an_error_of_that_row() -> None:
    (error,) = read_vehicle_file(csv(GOL, UNO + ",more")).errors
    assert (error.row, error.field) == (3, "")
    assert "9 cells" in error.reason


def test_a_row_that_comes_twice_is_taken_once() -> None:
    file = read_vehicle_file(csv(GOL, UNO, GOL.replace("Gol", " Gol ")))
    assert len(file.rows) == 2
    assert [(error.row, error.reason) for error in file.errors] == [(4, "This is row 2 again.")]


def test_a_row_keeps_its_key_when_the_file_around_it_changes() -> None:
    first = read_vehicle_file(csv(GOL, UNO)).rows[1]
    moved = read_vehicle_file(csv(UNO, GOL).replace(b"2015", b"02015")).rows[0]
    assert first.key("ana") == moved.key("ana")
    assert first.key("ana") != first.key("bia")
    assert first.key("ana") != read_vehicle_file(csv(UNO.replace("15,", "16,"))).rows[0].key("ana")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "empty"),
        (b"  \n ", "empty"),
        (csv(GOL).decode().encode("utf-16"), "UTF-16"),
        (csv(GOL.replace("prata", "cinza-avião")).decode().encode("latin-1"), "Row 2 is not UTF-8"),
        (b"PK\x03\x04rest", "spreadsheet"),
        (b"make\0model", "binary"),
        (csv(GOL, header="make,model"), "no column year, colour, price_cents"),
        (csv(GOL, header=HEADER + ",owner"), "not known: owner"),
        (csv(GOL, header=HEADER + ",make"), "twice: make"),
        (csv(), "no row below"),
        (csv('"never closed'), "cannot be read as CSV"),
        (csv(*[GOL] * (MAX_ROWS + 1)), "more than 5000 rows"),
        (b"x" * (MAX_BYTES + 1), "larger than 2 MB"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_with_what_to_do(content: bytes, says: str) -> None:
    assert says in refused(content)
