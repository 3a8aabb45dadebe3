"""These texts say what is wrong with a file of vehicles, as a whole and in its rows."""

from collections.abc import Callable, Mapping

from services.portal.domain.submission import RowError
from services.portal.domain.vehicle_file import FileRefused
from services.portal.infrastructure.language import i18n
from services.portal.infrastructure.language.i18n import marked
from services.portal.infrastructure.language.sentences import Said, sentence

COLUMNS: Mapping[str, str] = {
    "make": marked("Make"),
    "model": marked("Model"),
    "year": marked("Year"),
    "colour": marked("Colour"),
    "price": marked("Price"),
    "plate": marked("Plate"),
    "chassis_number": marked("Chassis number"),
    "renavam": marked("RENAVAM"),
}
"""People read these names of columns, which are also in the first row of the template."""

FILE: Mapping[str, str] = {
    "file-too-large": marked("The file is larger than %(mb)s MB. Split it."),
    "file-empty": marked("The file is empty."),
    "file-is-spreadsheet": marked(
        "This is a spreadsheet (.xlsx or .ods), not CSV. In your spreadsheet program choose “Save"
        " as” and then CSV."
    ),
    "file-is-binary": marked(
        "The file holds binary data, not text. In your spreadsheet program choose “Save as” and"
        " then CSV."
    ),
    "not-csv": marked(
        "Line %(line)s cannot be read as CSV: a quotation mark is missing or out of place."
    ),
    "columns-missing": marked("The first row lacks these columns: %(columns)s."),
    "columns-twice": marked("The first row has these columns more than once: %(columns)s."),
    "no-rows": marked("The file has a header, but no row below it."),
    "too-many-rows": marked("The file has more than %(rows)s rows. Split it."),
}
ROWS: Mapping[str, str] = {
    "missing": marked("This is missing."),
    "too-long": marked("This is longer than %(most)s characters."),
    "no-year": marked("This is not a year, such as 2021."),
    "no-amount": marked("This is not an amount, such as 45900 or 45.900,00."),
    "no-cents": marked("This is not a whole number of cents."),
    "number-shortened": marked(
        "The spreadsheet has shortened this number. Format the column as text and write it again."
    ),
    "cell-outside": marked(
        "Cell %(cell)s belongs to no column. If a value contains the separator, put the value in"
        " quotation marks."
    ),
    "row-again": marked("This is the same as row %(first)s."),
    "sold-since": marked("This row was imported before, and its vehicle has been sold since."),
}
WHOLE: Mapping[str, str] = {
    "no-seller": marked("Whoever handed the file in may not sell any more."),
    "gave-up": marked(
        "These rows could not be put on the market, though they were tried for a quarter of an"
        " hour. Hand the file in again: what is on the market already is not listed twice."
    ),
}
"""An import fails as a whole for one of these reasons."""
SAID = "refused"
"""Errors of old releases have this code: only their text was stored, which is the parameter
`sentence`.
"""


def file_text(refused: FileRefused, locale: str) -> str:
    return _text(FILE[refused.reason], refused.parameters, locale)


def whole_text(reason: str, locale: str) -> str:
    """Translate a reason, which is a code, or a sentence where an old release wrote it."""
    return i18n.translated(WHOLE.get(reason) or FILE.get(reason) or reason, locale)


def row_text(error: RowError, locale: str) -> str:
    if error.code == SAID:
        return i18n.translated(str(error.parameters["sentence"]), locale)
    if error.code in ROWS:
        return _text(ROWS[error.code], error.parameters, locale)
    return sentence(Said("", error.code, error.parameters), locale)


def column_name(column: str, locale: str) -> str:
    """Translate the name of a column. One that the import does not know keeps its name."""
    return i18n.translated(COLUMNS.get(column, column), locale)


def _text(text: str, parameters: Mapping[str, str | int], locale: str) -> str:
    shown: Mapping[str, Callable[[str], str]] = {
        "columns": lambda names: ", ".join(column_name(name, locale) for name in names.split(","))
    }
    values = {
        name: shown[name](str(value)) if name in shown else value
        for name, value in parameters.items()
    }
    return i18n.translations(locale).gettext(text) % values
