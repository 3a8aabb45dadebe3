"""Schema changes expand, then contract: the code of the release before runs beside each."""

import asyncio

import pytest

from deploy.services import SERVICES, ServiceSpec
from tests.contracts.expanding import contracts_of, played, problems, statements, taken


@pytest.mark.parametrize("spec", SERVICES, ids=lambda spec: spec.name)
async def test_no_migration_takes_anything_from_the_code_before(
    spec: ServiceSpec, database: str
) -> None:
    ran = await asyncio.to_thread(played, spec.name, database)
    marked = contracts_of(spec.name)

    assert ran.keys() == marked.keys(), "each migration was seen"
    assert all(ran.values())
    assert any(each.startswith("CREATE TABLE") for each in ran["0001"])
    assert [
        sentence
        for revision, each in ran.items()
        for sentence in problems(f"{spec.name} {revision}", each, marked[revision])
    ] == []


@pytest.mark.parametrize(
    ("sql", "sentence"),
    [
        ("DROP TABLE orders", "drops the table orders"),
        ("DROP VIEW IF EXISTS published.sales", "drops the view published.sales"),
        ("ALTER TABLE orders ADD COLUMN a int, DROP COLUMN total", "drops a column of orders"),
        ("ALTER TABLE orders\n DROP COLUMN IF EXISTS total", "drops a column of orders"),
        ("ALTER TABLE orders RENAME total TO sum", "renames orders"),
        ("ALTER TABLE IF EXISTS orders RENAME TO purchases", "renames orders"),
        ("ALTER TABLE orders ALTER COLUMN total TYPE text", "changes a type in orders"),
        ("ALTER TABLE ONLY orders ALTER total SET DATA TYPE text", "changes a type in orders"),
        (
            "ALTER TABLE orders ALTER COLUMN note SET NOT NULL",
            "wants a value, which the code before does not write, in orders",
        ),
        (
            "ALTER TABLE orders ALTER COLUMN note DROP DEFAULT",
            "takes a default from orders",
        ),
        (
            "ALTER TABLE orders ADD COLUMN note TEXT NOT NULL",
            "adds orders.note, which has to have a value and gets none from it",
        ),
        (
            "ALTER TABLE orders ADD COLUMN a int NOT NULL, ADD COLUMN b int DEFAULT 1 NOT NULL",
            "adds orders.a, which has to have a value and gets none from it",
        ),
    ],
)
def test_what_is_taken_is_named(sql: str, sentence: str) -> None:
    ran = statements(f"{sql}; CREATE INDEX x ON orders (id)")

    assert taken(ran) == [sentence]
    assert problems("orders 0009", ran, "") == [
        f"orders 0009 {sentence}: say in `contracts` why no running code uses it"
    ]
    if "ADD COLUMN" not in sql:
        assert problems("orders 0009", ran, "Release 7 was the last that read it.") == []


@pytest.mark.parametrize(
    "sql",
    [
        "ALTER TABLE orders ADD COLUMN note TEXT",
        "ALTER TABLE orders ADD COLUMN note TEXT DEFAULT '' NOT NULL",
        "ALTER TABLE orders ADD COLUMN words TEXT GENERATED ALWAYS AS (note) STORED NOT NULL",
        "CREATE TABLE drafts (id int); ALTER TABLE drafts ADD COLUMN a int NOT NULL",
        "CREATE TABLE drafts (id int); DROP TABLE drafts",
        "UPDATE orders SET note = 'DROP TABLE orders; ALTER TABLE orders RENAME TO x'",
        "CREATE FUNCTION f() RETURNS void AS $$ DROP TABLE orders; $$ LANGUAGE sql",
        "DROP INDEX ix_orders",
        "DROP FUNCTION f()",
    ],
)
def test_what_the_code_before_can_live_with_is_not_named(sql: str) -> None:
    assert taken(statements(sql)) == []


def test_a_word_that_takes_nothing_and_two_steps_in_one_are_named() -> None:
    assert problems("orders 0009", statements("ALTER TABLE orders ADD COLUMN a int"), "Why.") == [
        "orders 0009 says `contracts`, and takes nothing away"
    ]
    both = statements("ALTER TABLE orders ADD COLUMN a int; ALTER TABLE orders DROP COLUMN b")
    assert problems("orders 0009", both, "Why.") == [
        "orders 0009 expands and contracts at once: that is two releases"
    ]
