"""A vehicle file is read row by row, and each error names its row and field."""

from collections.abc import Sequence

import pytest

from services.portal.domain.submission import RowError
from services.portal.domain.vehicle_file import (
    COLUMNS,
    MAX_BYTES,
    MAX_ROWS,
    FileRefused,
    read_vehicle_file,
)

HEADER = "make,model,year,colour,price_cents,plate,chassis_number,renavam"
GOL = "Volkswagen,Gol,2022,prata,4590000,ABC1D23,9BWZZZ377VT004251,12345678900"
UNO = "Fiat,Uno,2015,branco,2190000,DEF2G34,9BD15822AF6123456,98765432103"
IN_PORTUGUESE = "Marca;Modelo;Ano;Cor;Preço (R$);Placa;Nº do chassi;RENAVAM"
IN_SPANISH = "Marca;Modelo;Año;Color;Precio;Placa;Número de chasis;RENAVAM"
GOL_OF_EXCEL = "Volkswagen;Gol;2022;cinza-avião;R$ 45.900,00;ABC1D23;9BWZZZ377VT004251;12345678900"


def csv(*rows: str, header: str = HEADER) -> bytes:
    return "\n".join([header, *rows]).encode()


def excel(*rows: str, header: str = IN_PORTUGUESE, first: str = "") -> bytes:
    return (first + "".join(f"{row}\r\n" for row in (header, *rows))).encode("cp1252")


def refused(content: bytes) -> FileRefused:
    with pytest.raises(FileRefused) as refusal:
        read_vehicle_file(content)
    return refusal.value


def told(errors: Sequence[RowError]) -> list[tuple[int, str, str]]:
    return [(error.row, error.field, error.code) for error in errors]


def test_each_row_is_one_vehicle() -> None:
    file = read_vehicle_file(csv(GOL, UNO))
    assert [row.row for row in file.rows] == [2, 3]
    assert file.rows[1].values["model"] == "Uno"
    assert file.errors == []
    assert file.total == 2


@pytest.mark.parametrize("first", ["", "sep=;\r\n", '"sep=;"\r\n'])
@pytest.mark.parametrize("header", [IN_PORTUGUESE, IN_SPANISH, IN_PORTUGUESE + ";;;"])
def test_a_file_that_brazilian_excel_writes_is_read(first: str, header: str) -> None:
    (row,) = read_vehicle_file(excel(GOL_OF_EXCEL + ";;", header=header, first=first)).rows
    assert row.row == 2
    assert row.values["colour"] == "cinza-avião"
    assert row.price_cents == 45_900_00
    assert row.values["chassis_number"] == "9BWZZZ377VT004251"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_a_file_is_read_in_each_encoding_that_spreadsheets_write(encoding: str) -> None:
    text = excel(GOL_OF_EXCEL).decode("cp1252").replace(";", "\t")
    assert read_vehicle_file(text.encode(encoding)).rows[0].values["colour"] == "cinza-avião"


@pytest.mark.parametrize(
    "price", ["45900", "45.900", "45.900,00", "R$ 45.900,00", " R$\xa045.900,00 ", "45900,00"]
)
def test_a_price_is_read_as_the_form_reads_it(price: str) -> None:
    (row,) = read_vehicle_file(excel(GOL_OF_EXCEL.replace("R$ 45.900,00", price))).rows
    assert row.price_cents == 45_900_00


def test_a_price_in_cents_keeps_its_column() -> None:
    (row,) = read_vehicle_file(csv(GOL)).rows
    assert row.price_cents == 45_900_00


def test_the_year_of_the_model_counts_where_two_are_given() -> None:
    (row,) = read_vehicle_file(excel(GOL_OF_EXCEL.replace("2022", "2021/2022"))).rows
    assert row.values["year"] == "2022"


def test_headers_may_be_spelt_with_capitals_and_spaces() -> None:
    header = "Make,Model,Year,Colour,Price cents,Plate,Chassis number,Renavam"
    assert len(read_vehicle_file(csv(GOL, header=header)).rows) == 1


def test_a_column_nobody_knows_is_left_out_and_named() -> None:
    file = read_vehicle_file(excel(f"{GOL_OF_EXCEL};80.000", header=f"{IN_PORTUGUESE};Km rodados"))
    assert (len(file.rows), file.ignored) == (1, ["Km rodados"])


def test_empty_rows_are_passed_over_and_keep_their_numbers() -> None:
    file = read_vehicle_file(csv(GOL, ",,,,,,,", "", UNO))
    assert [row.row for row in file.rows] == [2, 5]


def test_empty_rows_before_the_header_are_passed_over() -> None:
    (row,) = read_vehicle_file(excel(IN_PORTUGUESE, GOL_OF_EXCEL, header=";;;;;;;")).rows
    assert row.row == 3


def test_all_errors_are_reported_by_row_and_field() -> None:
    file = read_vehicle_file(csv(GOL, UNO.replace("2015", "MMXV").replace("2190000", "")))
    assert told(file.errors) == [(3, "year", "no-year"), (3, "price", "missing")]
    assert len(file.rows) == 1
    assert file.total == 2


@pytest.mark.parametrize("number", ["-5", "1.5", "٣", "1e9", "+1", "9" * 16])
def test_cents_have_digits_only_and_not_too_many(number: str) -> None:
    (error,) = read_vehicle_file(csv(GOL.replace("4590000", number))).errors
    assert (error.field, error.code) == ("price", "no-cents")


@pytest.mark.parametrize("price", ["cheap", "-45.900,00", "45.90.0", "US$ 45900", "4,5E+4"])
def test_a_price_that_cannot_be_read_is_an_error(price: str) -> None:
    (error,) = read_vehicle_file(excel(GOL_OF_EXCEL.replace("R$ 45.900,00", price))).errors
    assert error.field == "price"
    assert error.code in ("no-amount", "number-shortened")


def test_a_number_that_the_spreadsheet_has_shortened_is_an_error() -> None:
    (error,) = read_vehicle_file(excel(GOL_OF_EXCEL.replace("12345678900", "1,23457E+10"))).errors
    assert (error.field, error.code) == ("renavam", "number-shortened")


def test_a_cell_beyond_the_columns_is_an_error_of_its_row() -> None:
    (error,) = read_vehicle_file(csv(GOL, UNO + ",more")).errors
    assert (error.row, error.field, error.code) == (3, "", "cell-outside")
    assert error.parameters == {"cell": 9}


def test_a_row_that_is_too_short_lacks_its_last_values() -> None:
    short = UNO.rpartition(",")[0]
    assert told(read_vehicle_file(csv(GOL, short)).errors) == [(3, "renavam", "missing")]


def test_a_row_that_comes_twice_is_taken_once() -> None:
    file = read_vehicle_file(csv(GOL, UNO, GOL.replace("Gol", " Gol ")))
    assert len(file.rows) == 2
    assert told(file.errors) == [(4, "", "row-again")]
    assert file.errors[0].parameters == {"first": 2}


def test_a_row_keeps_its_key_when_the_file_around_it_changes() -> None:
    first = read_vehicle_file(csv(GOL, UNO)).rows[1]
    moved = read_vehicle_file(csv(UNO, GOL).replace(b"2015", b"02015")).rows[0]
    assert first.key("ana") == moved.key("ana")
    assert first.key("ana") != first.key("bia")
    assert first.key("ana") != read_vehicle_file(csv(UNO.replace("15,", "16,"))).rows[0].key("ana")


def test_a_row_has_one_key_whether_its_price_is_in_cents_or_not() -> None:
    in_reais = csv(GOL.replace("4590000", "45.900"), header=HEADER.replace("price_cents", "Valor"))
    assert read_vehicle_file(in_reais).rows[0].key("") == read_vehicle_file(csv(GOL)).rows[0].key(
        ""
    )


def test_a_price_a_hundred_times_off_is_noticed() -> None:
    low, high = GOL.replace("4590000", "45900"), UNO.replace("2190000", "2190000000")
    file = read_vehicle_file(csv(GOL, low, high, UNO))
    assert [row.row for row in file.implausible] == [3, 4]
    assert len(file.rows) == 4


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "file-empty"),
        (b"  \n ", "file-empty"),
        (b"PK\x03\x04rest", "file-is-spreadsheet"),
        (b"make\0model", "file-is-binary"),
        (b"\x81\x8d\xff", "file-is-binary"),
        (b"\xff\xfe\x00", "file-is-binary"),
        (csv(GOL, header="make,model"), "columns-missing"),
        (csv(GOL, header=HEADER + ",marca"), "columns-twice"),
        (csv(GOL, header=HEADER + ",price"), "columns-twice"),
        (csv(), "no-rows"),
        (csv(",,,,,,,"), "no-rows"),
        (csv('"never closed'), "not-csv"),
        (csv(*[GOL] * (MAX_ROWS + 1)), "too-many-rows"),
        (b"x" * (MAX_BYTES + 1), "file-too-large"),
        (b"sep=\r\n" + csv(GOL), "columns-missing"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_with_a_reason(content: bytes, code: str) -> None:
    assert refused(content).reason == code


def test_a_header_without_names_lacks_all_columns() -> None:
    assert refused(csv(GOL, header=UNO)).parameters == {"columns": ",".join(COLUMNS)}
