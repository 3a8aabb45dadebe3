"""docs/data-security.md gives every table a class, and names every column that holds bytes."""

import re
from collections.abc import Iterator, Mapping
from importlib import import_module

import pytest
from sqlalchemy import ARRAY, Column, LargeBinary, MetaData, Table

from deploy.services import SERVICES
from tests.documents.sections import ROOT

ALSO = {
    "payments": "services.payments.infrastructure.sandbox_gateway",
    "payouts": "services.payouts.infrastructure.sandbox_bank",
}
"""Modules that define tables of their own."""
SECTION = re.compile(r"^## Where each class lies$(.*?)^## ", re.MULTILINE | re.DOTALL)
CLASSES = re.compile(r"^## Classes of data$(.*?)^## ", re.MULTILINE | re.DOTALL)
NAME = re.compile(r"`(\w+)`")


def rows_of(section: re.Pattern[str]) -> list[list[str]]:
    """Return the cells of the first table of the section, without its head."""
    found = section.search((ROOT / "docs" / "data-security.md").read_text())
    assert found is not None
    lines = [line for line in found[1].splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def told() -> Mapping[tuple[str, str], set[str]]:
    """Return the columns named for each table. Tables of the libraries belong to each service."""
    found: dict[tuple[str, str], set[str]] = {}
    for service, tables, _, columns in rows_of(SECTION):
        for name in NAME.findall(tables):
            for owner in [spec.name for spec in SERVICES] if service == "each" else [service]:
                found[owner, name] = set(NAME.findall(columns))
    return found


def tables_of(service: str) -> Iterator[Table]:
    module = import_module(f"services.{service}.infrastructure.tables")
    if service in ALSO:
        import_module(ALSO[service])
    for metadata in vars(module).values():
        if isinstance(metadata, MetaData):
            yield from metadata.sorted_tables


def holds_bytes(column: Column[object]) -> bool:
    kind = column.type.item_type if isinstance(column.type, ARRAY) else column.type
    return isinstance(kind, LargeBinary)


@pytest.mark.parametrize("service", [spec.name for spec in SERVICES])
def test_every_table_has_its_class_and_every_column_of_bytes_is_named(service: str) -> None:
    there = {
        (service, table.name): {column.name for column in table.columns if holds_bytes(column)}
        for table in tables_of(service)
    }
    documented = {table: columns for table, columns in told().items() if table[0] == service}
    assert documented == there


def test_every_class_of_a_table_is_explained() -> None:
    explained = {row[0] for row in rows_of(CLASSES)}
    used = {each for row in rows_of(SECTION) for each in row[2].split(", ")}
    assert used == explained
