"""A file of vehicles to be put on the market: CSV as spreadsheets write it."""

import csv
import hashlib
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from libs.kernel.errors import Invalid
from services.portal.domain.submission import RowError

MAX_BYTES = 2 * 1024 * 1024
MAX_ROWS = 5_000
LONGEST_CELL = 200

REQUIRED = (
    "make",
    "model",
    "year",
    "colour",
    "price_cents",
    "plate",
    "chassis_number",
    "renavam",
)
OPTIONAL = ("seller_id",)
NUMBERS = ("year", "price_cents")
MOST_DIGITS = 15


@dataclass(frozen=True)
class VehicleRow:
    """One vehicle, every value as text in one spelling."""

    row: int
    values: Mapping[str, str]

    def key(self, scope: str) -> str:
        """The same for the same vehicle described the same way, whatever the file and wherever in
        it: a file that was corrected and sent again repeats only what had failed. `scope` names
        whose vehicles they are.
        """
        content = json.dumps([scope, sorted(self.values.items())])
        return f"import-{hashlib.sha256(content.encode()).hexdigest()[:40]}"


@dataclass(frozen=True)
class VehicleFile:
    rows: Sequence[VehicleRow]
    errors: Sequence[RowError]

    @property
    def total(self) -> int:
        """Rows that hold something, good or not."""
        return len(self.rows) + len({error.row for error in self.errors})


def read_vehicle_file(content: bytes) -> VehicleFile:
    """Raises Invalid, with what to do about it, where the file as a whole cannot be read."""
    if len(content) > MAX_BYTES:
        raise Invalid(f"The file is larger than {MAX_BYTES // 1024 // 1024} MB. Split it.")
    lines = _table(_text(content))
    columns = _columns(next(lines, []))
    rows: list[VehicleRow] = []
    errors: list[RowError] = []
    seen: dict[str, int] = {}
    for number, cells in enumerate(lines, start=2):
        if not any(cell.strip() for cell in cells):
            continue
        if number > MAX_ROWS + 1:
            raise Invalid(f"The file has more than {MAX_ROWS} rows. Split it.")
        found = _row_errors(number, columns, cells)
        if not found:
            row = VehicleRow(number, _values(columns, cells))
            first = seen.setdefault(row.key(""), number)
            if first == number:
                rows.append(row)
                continue
            found = [RowError(number, "", f"This is row {first} again.")]
        errors += found
    if not rows and not errors:
        raise Invalid("The file has a header, but no row below it.")
    return VehicleFile(rows, errors)


def _text(content: bytes) -> str:
    if not content.strip():
        raise Invalid("The file is empty.")
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise Invalid("The file is UTF-16 (“Unicode text”). Save it as “CSV UTF-8”.")
    if content.startswith(b"PK\x03\x04"):
        raise Invalid("This is a spreadsheet (.xlsx or .ods), not CSV. Save it as “CSV UTF-8”.")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise Invalid(
            f"Row {line} is not UTF-8; it may be Latin-1 or Windows-1252. Save it as “CSV UTF-8”."
        ) from None
    if "\0" in text:
        raise Invalid("The file holds binary data, not text. Save it as “CSV UTF-8”.")
    return text


def _table(text: str) -> Iterator[list[str]]:
    """Spreadsheets write semicolons where the comma is the decimal point."""
    header = text.partition("\n")[0]
    delimiter = max(",;\t", key=header.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        yield from reader
    except csv.Error as error:
        raise Invalid(f"Line {reader.line_num} cannot be read as CSV: {error}.") from None


def _columns(header: Sequence[str]) -> list[str]:
    names = [" ".join(cell.split()).lower().replace(" ", "_") for cell in header]
    missing = [name for name in REQUIRED if name not in names]
    if missing:
        raise Invalid(
            f"The first row has no column {', '.join(missing)}."
            f" It names the columns: {', '.join(REQUIRED)}; {', '.join(OPTIONAL)} may be there too."
        )
    unknown = [name or "(empty)" for name in names if name not in REQUIRED + OPTIONAL]
    if unknown:
        raise Invalid(f"The first row has columns that are not known: {', '.join(unknown)}.")
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise Invalid(f"The first row has columns twice: {', '.join(twice)}.")
    return names


def _row_errors(number: int, columns: Sequence[str], cells: Sequence[str]) -> list[RowError]:
    if len(cells) != len(columns):
        reason = f"The row has {len(cells)} cells, the header has {len(columns)}."
        return [RowError(number, "", reason)]
    reasons = (
        (name, _cell_error(name, cell.strip())) for name, cell in zip(columns, cells, strict=True)
    )
    return [RowError(number, name, reason) for name, reason in reasons if reason is not None]


def _cell_error(column: str, cell: str) -> str | None:
    if not cell:
        return None if column in OPTIONAL else "This is missing."
    if len(cell) > LONGEST_CELL:
        return f"This is longer than {LONGEST_CELL} characters."
    if column in NUMBERS and not (cell.isascii() and cell.isdigit()):
        return "This is a whole number, digits only."
    if column in NUMBERS and len(cell) > MOST_DIGITS:
        return f"This has more than {MOST_DIGITS} digits."
    return None


def _values(columns: Sequence[str], cells: Sequence[str]) -> dict[str, str]:
    values = {name: " ".join(cell.split()) for name, cell in zip(columns, cells, strict=True)}
    for name in NUMBERS:
        values[name] = str(int(values[name]))
    return {name: value for name, value in values.items() if value}
