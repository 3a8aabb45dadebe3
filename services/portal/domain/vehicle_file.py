"""A file of vehicles for the market is CSV as spreadsheets write it."""

import csv
import hashlib
import io
import json
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from libs.kernel.errors import Invalid
from services.portal.domain.amounts import cents_in, is_plausible
from services.portal.domain.submission import RowError

MAX_BYTES = 2 * 1024 * 1024
MAX_ROWS = 5_000
LONGEST_CELL = 200
MOST_DIGITS = 15

COLUMNS = ("make", "model", "year", "colour", "price", "plate", "chassis_number", "renavam")
NUMBERS = ("year", "price_cents")
"""These values of a row are whole numbers."""

NAMES: Mapping[str, tuple[str, ...]] = {
    "make": ("make", "brand", "manufacturer", "marca", "fabricante", "montadora"),
    "model": ("model", "modelo"),
    "year": ("year", "model year", "year model", "ano", "ano modelo", "modelo ano"),
    "colour": ("colour", "color", "cor", "cor predominante"),
    "price": ("price", "preco", "preco venda", "valor", "valor venda", "precio", "precio venta"),
    "plate": ("plate", "license plate", "licence plate", "placa", "patente", "matricula"),
    "chassis_number": ("chassis", "vin", "chassi", "chasis", "niv"),
    "renavam": ("renavam",),
    "price_cents": ("price cents", "preco centavos", "precio centavos"),
    "seller_id": ("seller id",),
}
"""Files have these names of columns in English, Portuguese and Spanish, as `_plain` spells them.
`price_cents`, in whole cents, may stand in place of `price`; `seller_id` may be left out.
"""

_PADDING = frozenset(
    {"do", "da", "de", "del", "en", "em", "of", "the", "n", "no", "nr"}
    | {"numero", "number", "codigo", "code"}
)
"""These words of a header do not help to tell columns apart."""
_NAMED = {_name: column for column, names in NAMES.items() for _name in names}
_SEPARATOR_LINE = re.compile(r'"?sep=([,;|\t])"?[ ,;|\t]*\r?\n', re.IGNORECASE)
_TWO_YEARS = re.compile(r"[0-9]{4}/([0-9]{4})")
_SHORTENED = re.compile(r"[0-9][.,][0-9]+E\+[0-9]+", re.IGNORECASE)


class FileRefused(Invalid):
    """The file as a whole cannot be read. `reason` is a code; `parameters` belong to its text."""

    code = "file-refused"
    text = "The file as a whole cannot be read."

    def __init__(self, reason: str, **parameters: str | int) -> None:
        super().__init__(reason)
        self.reason = reason
        self.parameters = parameters


class _Unreadable(Exception):
    def __init__(self, code: str, **parameters: str | int) -> None:
        super().__init__(code)
        self.code = code
        self.parameters = parameters


@dataclass(frozen=True)
class VehicleRow:
    """A row is one vehicle. Its values are texts in normal form, the price as `price_cents`."""

    row: int
    values: Mapping[str, str]

    @property
    def price_cents(self) -> int:
        return int(self.values["price_cents"])

    def key(self, scope: str) -> str:
        """Return the key of the row. The same description has the same key, in any file and at any
        place, so a corrected file that is sent again repeats only the rows that had failed. `scope`
        names the owner of the vehicles.
        """
        content = json.dumps([scope, sorted(self.values.items())])
        return f"import-{hashlib.sha256(content.encode()).hexdigest()[:40]}"


@dataclass(frozen=True)
class VehicleFile:
    """`ignored` are named columns that the import does not know."""

    rows: Sequence[VehicleRow]
    errors: Sequence[RowError]
    ignored: Sequence[str] = ()

    @cached_property
    def bad(self) -> int:
        """Return the number of rows with errors."""
        return len({error.row for error in self.errors})

    @property
    def total(self) -> int:
        """Return the number of rows that are not empty, good or bad."""
        return len(self.rows) + self.bad

    @cached_property
    def implausible(self) -> Sequence[VehicleRow]:
        """Return the rows whose price the user has to confirm."""
        return [row for row in self.rows if not is_plausible(row.price_cents)]

    def without(self, errors: Sequence[RowError]) -> "VehicleFile":
        """Return the same file with more errors. Their rows are no longer good."""
        bad = {error.row for error in errors}
        return VehicleFile(
            [row for row in self.rows if row.row not in bad],
            sorted([*self.errors, *errors], key=lambda error: error.row),
            self.ignored,
        )


def read_vehicle_file(content: bytes) -> VehicleFile:
    """Parse the file in time linear in the number of rows. Raises FileRefused."""
    if len(content) > MAX_BYTES:
        raise FileRefused("file-too-large", mb=MAX_BYTES // 1024 // 1024)
    lines = _table(_text(content))
    header = next((cells for _, cells in lines), [])
    columns, ignored = _columns(header)
    rows: list[VehicleRow] = []
    errors: list[RowError] = []
    seen: dict[str, int] = {}
    count = 0
    for number, cells in lines:
        count += 1
        if count > MAX_ROWS:
            raise FileRefused("too-many-rows", rows=MAX_ROWS)
        values, found = _row(number, columns, header, cells)
        if not found:
            row = VehicleRow(number, values)
            first = seen.setdefault(row.key(""), number)
            if first == number:
                rows.append(row)
                continue
            found = [RowError(number, "", "row-again", {"first": first})]
        errors += found
    if not count:
        raise FileRefused("no-rows")
    return VehicleFile(rows, errors, ignored)


def _text(content: bytes) -> str:
    """Decode UTF-8, UTF-16 with its mark ("Unicode text"), or Windows-1252, in which Brazilian and
    Western European spreadsheets write CSV.
    """
    if not content.strip():
        raise FileRefused("file-empty")
    if content.startswith(b"PK\x03\x04"):
        raise FileRefused("file-is-spreadsheet")
    for encoding in _encodings(content):
        try:
            text = content.decode(encoding)
        except UnicodeDecodeError:
            continue
        if "\0" not in text:
            return text
    raise FileRefused("file-is-binary")


def _encodings(content: bytes) -> tuple[str, ...]:
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return ("utf-16",)
    return ("utf-8-sig", "cp1252")


def _table(text: str) -> Iterator[tuple[int, list[str]]]:
    """Yield the rows that are not empty, with their numbers in a spreadsheet. A first line `sep=;`,
    which spreadsheets read and do not show, names the separator. Otherwise the header shows it,
    because spreadsheets write semicolons where the comma is the decimal mark.
    """
    named = _SEPARATOR_LINE.match(text)
    if named:
        text = text[named.end() :]
    header = next((line for line in text.splitlines() if line.strip(" ,;\t")), "")
    delimiter = named[1] if named else max(",;\t", key=header.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        for number, cells in enumerate(reader, start=1):
            if any(cell.strip() for cell in cells):
                yield number, cells
    except (csv.Error, ValueError):
        raise FileRefused("not-csv", line=reader.line_num) from None


def _columns(header: Sequence[str]) -> tuple[Mapping[int, str], Sequence[str]]:
    """Return the known columns by their position, and the names of unknown ones."""
    names = {place: _NAMED.get(_plain(cell)) for place, cell in enumerate(header)}
    columns = {place: name for place, name in names.items() if name is not None}
    found = ["price" if name == "price_cents" else name for name in columns.values()]
    missing = [name for name in COLUMNS if name not in found]
    if missing:
        raise FileRefused("columns-missing", columns=",".join(missing))
    twice = sorted({name for name in found if found.count(name) > 1})
    if twice:
        raise FileRefused("columns-twice", columns=",".join(twice))
    unknown = (" ".join(header[place].split()) for place, name in names.items() if name is None)
    return columns, [name[:LONGEST_CELL] for name in unknown if name]


def _plain(header: str) -> str:
    """Turn `Nº do chassi`, `Preço (R$)`, `chassis_number` into `chassi`, `preco`, `chassis`."""
    letters = unicodedata.normalize("NFKD", header.lower().replace("r$", " "))
    words = re.findall(r"[a-z]+", "".join(c for c in letters if not unicodedata.combining(c)))
    return " ".join(word for word in words if word not in _PADDING)


def _row(
    number: int, columns: Mapping[int, str], header: Sequence[str], cells: Sequence[str]
) -> tuple[dict[str, str], list[RowError]]:
    """Return the values of the row, or everything that is wrong with it."""
    outside = [
        place
        for place, cell in enumerate(cells)
        if cell.strip() and (place >= len(header) or not header[place].strip())
    ]
    if outside:
        return {}, [RowError(number, "", "cell-outside", {"cell": outside[0] + 1})]
    values, errors = {}, []
    for place, name in columns.items():
        cell = " ".join(cells[place].split()) if place < len(cells) else ""
        try:
            value = _value(name, cell)
        except _Unreadable as error:
            field = "price" if name == "price_cents" else name
            errors.append(RowError(number, field, error.code, error.parameters))
            continue
        if value:
            values["price_cents" if name == "price" else name] = value
    return values, errors


def _value(column: str, cell: str) -> str:
    """Return the value in normal form. Raises _Unreadable."""
    if not cell:
        if column == "seller_id":
            return ""
        raise _Unreadable("missing")
    if len(cell) > LONGEST_CELL:
        raise _Unreadable("too-long", most=LONGEST_CELL)
    if _SHORTENED.fullmatch(cell):
        raise _Unreadable("number-shortened")
    match column:
        case "price":
            cents = cents_in(cell)
            if cents is None:
                raise _Unreadable("no-amount")
            return str(cents)
        case "year":
            two = _TWO_YEARS.fullmatch(cell)
            return _whole(two[1] if two else cell, "no-year")
        case "price_cents":
            return _whole(cell, "no-cents")
        case _:
            return cell


def _whole(cell: str, code: str) -> str:
    if not (cell.isascii() and cell.isdigit() and len(cell) <= MOST_DIGITS):
        raise _Unreadable(code)
    return str(int(cell))
