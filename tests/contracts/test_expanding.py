"""Migrations first expand a schema and contract it in a later release, so that the previous release
still runs after each.
"""

import asyncio

import pytest

from deploy.services import SERVICES, ServiceSpec
from tests.contracts.expanding import (
    contracts_of,
    played,
    problems,
    statements,
    taken,
    unique_indexes,
)


@pytest.mark.parametrize("spec", SERVICES, ids=lambda spec: spec.name)
async def test_no_migration_takes_anything_from_the_code_before(
    spec: ServiceSpec, database: str
) -> None:
    ran = await asyncio.to_thread(played, spec.name, database)
    marked = contracts_of(spec.name)

    assert ran.keys() == marked.keys(), "each migration was seen"
    assert all(ran.values())
    assert any(each.startswith("CREATE TABLE") for each in ran["0001"])
    found: list[str] = []
    unique: set[str] = set()
    for revision, each in ran.items():
        found += problems(f"{spec.name} {revision}", each, marked[revision], unique)
        unique |= unique_indexes(each)
    assert found == []


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
        ("alter table orders drop column total", "drops a column of orders"),
        ("DROP FUNCTION IF EXISTS maintain(integer)", "drops the function maintain"),
        ("DROP MATERIALIZED VIEW sales", "drops the view sales"),
        ("DROP TYPE colour", "drops the type colour"),
        ("DROP SEQUENCE numbers", "drops the sequence numbers"),
        ("ALTER FUNCTION maintain(integer) RENAME TO upkeep", "renames maintain"),
        ("ALTER TABLE orders SET SCHEMA archive", "moves orders"),
        (
            "DO $$ BEGIN IF true THEN ALTER TABLE orders DROP COLUMN total; END IF; END $$",
            "drops a column of orders",
        ),
        ("DO $$ BEGIN EXECUTE 'DROP TABLE orders'; END $$", "drops the table orders"),
        ("DROP INDEX uq_orders", "drops the unique index uq_orders"),
        ("ALTER TABLE orders DROP CONSTRAINT uq_orders", "drops the unique index uq_orders"),
        ("ALTER TABLE orders DROP CONSTRAINT orders_pkey", "drops the unique index orders_pkey"),
        (
            "ALTER TABLE orders ADD CONSTRAINT ck_total CHECK (total > 5) NOT VALID",
            "adds a rule to orders, which the code before does not know",
        ),
        (
            "ALTER TABLE orders ADD FOREIGN KEY (buyer) REFERENCES buyers (id)",
            "adds a rule to orders, which the code before does not know",
        ),
        (
            "CREATE UNIQUE INDEX uq_note ON orders (note)",
            "adds a rule to orders, which the code before does not know",
        ),
    ],
)
def test_each_thing_that_a_migration_takes_from_the_code_before_is_named(
    sql: str, sentence: str
) -> None:
    ran = statements(f"{sql}; CREATE INDEX x ON orders (id)")
    unique = unique_indexes(statements("CREATE UNIQUE INDEX uq_orders ON orders (id)"))

    assert taken(ran, unique) == [sentence]
    assert problems("orders 0009", ran, "", unique) == [
        f"orders 0009 {sentence}: say in `contracts` why that harms no running code"
    ]
    if "ADD COLUMN" not in sql:
        assert problems("orders 0009", ran, "Release 7 was the last that read it.", unique) == []


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
        "DROP FUNCTION f(); CREATE FUNCTION f() RETURNS void AS $$ SELECT 1 $$ LANGUAGE sql",
        "ALTER TABLE orders DROP CONSTRAINT ck_state, ADD CONSTRAINT ck_state CHECK (state > 0)",
        "ALTER TABLE orders DROP CONSTRAINT ck_state",
        "ALTER TABLE orders ADD COLUMN own uuid; CREATE UNIQUE INDEX uq ON orders (id, own)",
        "ALTER TABLE orders ADD COLUMN own int, ADD CONSTRAINT ck CHECK (own > 0)",
        "CREATE TABLE drafts (id int); CREATE UNIQUE INDEX uq_drafts ON drafts (id)",
    ],
)
def test_a_change_that_the_code_before_can_live_with_is_not_named(sql: str) -> None:
    assert taken(statements(sql)) == []


def test_a_word_that_takes_nothing_and_two_steps_in_one_are_named() -> None:
    assert problems("orders 0009", statements("ALTER TABLE orders ADD COLUMN a int"), "Why.") == [
        "orders 0009 says `contracts`, and takes nothing away"
    ]
    both = statements("ALTER TABLE orders ADD COLUMN a int; ALTER TABLE orders DROP COLUMN b")
    assert problems("orders 0009", both, "Why.") == [
        "orders 0009 expands and contracts at once: that is two releases"
    ]
