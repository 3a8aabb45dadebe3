"""Every error of a file of vehicles has a text in every language."""

import re
from inspect import getsource

import pytest

from services.portal.application import import_vehicles
from services.portal.domain import vehicle_file
from services.portal.domain.submission import RowError
from services.portal.domain.user import LOCALES
from services.portal.domain.vehicle_file import COLUMNS, FileRefused
from services.portal.infrastructure.language import i18n
from services.portal.infrastructure.language.import_words import (
    FILE,
    ROWS,
    WHOLE,
    column_name,
    file_text,
    row_text,
    whole_text,
)
from services.portal.infrastructure.language.sentences import OTHERWISE
from services.portal.infrastructure.peers import vehicle_market

SOURCE = getsource(vehicle_file)
WHATEVER: dict[str, str | int] = {"columns": "year,price"}
WHATEVER |= dict.fromkeys(("mb", "line", "rows", "most", "cell", "first"), 1)


def codes(pattern: str) -> set[str]:
    return set(re.findall(pattern, SOURCE))


def test_every_code_has_its_text_and_every_text_its_code() -> None:
    assert codes(r'FileRefused\(\s*"([a-z-]+)"') == FILE.keys()
    raised = codes(r'(?:_Unreadable\(|RowError\(number, "", |_whole\(.*, )"([a-z-]+)"')
    assert raised | {vehicle_market.SOLD} == ROWS.keys()
    assert {import_vehicles.GAVE_UP, import_vehicles.NO_SELLER} == WHOLE.keys()


@pytest.mark.parametrize("locale", LOCALES)
def test_every_text_can_be_shown(locale: str) -> None:
    for code in ROWS:
        assert "%" not in row_text(RowError(2, "", code, WHATEVER), locale)
    for code in FILE:
        assert "%" not in file_text(FileRefused(code, **WHATEVER), locale)
    for code in WHOLE:
        assert whole_text(code, locale) != code


def test_columns_are_named_in_the_readers_language() -> None:
    refused = FileRefused("columns-missing", columns="year,chassis_number")
    assert file_text(refused, "pt") == "Faltam estas colunas na primeira linha: Ano, Chassi."
    assert column_name("Km", "pt") == "Km"


@pytest.mark.parametrize("locale", LOCALES)
def test_a_file_may_name_its_columns_as_the_template_does(locale: str) -> None:
    names = [column_name(column, locale) for column in COLUMNS]
    row = "Fiat;Uno;2015;azul;21.900,00;DEF2G34;9BD15822AF6123456;98765432103"
    file = vehicle_file.read_vehicle_file("\n".join([";".join(names), row]).encode("cp1252"))
    assert (len(file.rows), file.errors, file.ignored) == (1, [], [])


def test_a_refusal_of_the_service_is_said_by_its_code() -> None:
    error = RowError(2, "price", "price-out-of-range", {"least_cents": 1, "most_cents": 100_00})
    assert row_text(error, "en") == "The price is between R$0.01 and R$100.00."
    in_portuguese = row_text(error, "pt").replace("\xa0", " ")
    assert in_portuguese == "O preço deve ficar entre R$ 0,01 e R$ 100,00."
    unknown = RowError(2, "price", "of-tomorrow", {})
    assert row_text(unknown, "pt") == i18n.translated(OTHERWISE, "pt")
