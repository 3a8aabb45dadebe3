"""The parser refuses templates that could do harm, and makes limited subqueries of the others."""

import pytest
import sqlglot
from sqlglot import exp

from services.kpis.domain.errors import UnsafeTemplate
from services.kpis.infrastructure.published_views import VIEWS
from services.kpis.infrastructure.template import MAX_LENGTH, safe_query

REFUSED = {
    "nothing": "",
    "no sense": "SELEC amount FRM sales",
    "stacked": "SELECT 1; DROP TABLE facts",
    "stacked and hidden by a comment": "SELECT 1 /* ; */; COMMIT --",
    "commit": "COMMIT",
    "a commit behind a SELECT": "SELECT amount FROM sales; COMMIT",
    "begin": "BEGIN",
    "set": "SET statement_timeout = 0",
    "set role": "SET ROLE kpis_owner",
    "insert": "INSERT INTO facts VALUES (1)",
    "update": "UPDATE kpis SET owner = 'me'",
    "delete": "DELETE FROM facts",
    "delete in a WITH": "WITH gone AS (DELETE FROM facts RETURNING 1) SELECT 1 FROM gone",
    "update in a WITH": "WITH s AS (UPDATE sales SET amount = 1 RETURNING 1) SELECT 1 FROM s",
    "copy": "COPY sales TO '/tmp/sales'",
    "call": "CALL something()",
    "do": "DO $$ BEGIN PERFORM 1; END $$",
    "explain analyze": "EXPLAIN ANALYZE SELECT 1",
    "prepare": "PREPARE x AS SELECT 1",
    "values": "VALUES (1)",
    "union": "SELECT amount FROM sales UNION SELECT 1",
    "union in a subquery": "SELECT 1 FROM (SELECT 1 AS a UNION ALL SELECT 2) x",
    "into": "SELECT amount INTO mine FROM sales",
    "for update": "SELECT amount FROM sales FOR UPDATE",
    "pg_sleep": "SELECT pg_sleep(10)",
    "pg_sleep as a condition": "SELECT 1 FROM sales WHERE pg_sleep(10) IS NULL",
    "pg_sleep, qualified": "SELECT pg_catalog.pg_sleep(10)",
    "pg_sleep, quoted": 'SELECT "pg_sleep"(10)',
    "pg_sleep as a table": "SELECT * FROM pg_sleep(10)",
    "pg_sleep in ROWS FROM": "SELECT * FROM ROWS FROM (pg_sleep(10))",
    "pg_sleep as a column of a row": "SELECT (sales).pg_sleep FROM sales",
    "a function written as a column": "SELECT sales.to_json FROM sales",
    "a function in a filter": "SELECT COUNT(*) FILTER (WHERE pg_sleep(1) IS NULL) FROM sales",
    "a function in ORDER BY": "SELECT amount FROM sales ORDER BY pg_sleep(1)",
    "a function in LIMIT": "SELECT amount FROM sales LIMIT length(pg_read_file('x'))",
    "pg_read_file": "SELECT pg_read_file('/etc/passwd')",
    "pg_ls_dir": "SELECT * FROM pg_ls_dir('.')",
    "lo_import": "SELECT lo_import('/etc/passwd')",
    "set_config": "SELECT set_config('statement_timeout', '0', false)",
    "current_setting": "SELECT current_setting('data_directory')",
    "advisory lock": "SELECT pg_advisory_lock(1)",
    "notify": "SELECT pg_notify('outbox', '')",
    "terminate": "SELECT pg_terminate_backend(1)",
    "query_to_xml": "SELECT query_to_xml('SELECT 1', true, true, '')",
    "dblink": "SELECT * FROM dblink('host=example', 'SELECT 1') AS t(a int)",
    "current_user": "SELECT current_user",
    "version": "SELECT version()",
    "nextval": "SELECT nextval('outbox_seq_seq')",
    "pg_class": "SELECT relname FROM pg_class",
    "pg_catalog.pg_class": "SELECT relname FROM pg_catalog.pg_class",
    "information_schema": "SELECT table_name FROM information_schema.tables",
    "pg_authid in a subquery": "SELECT 1 FROM sales WHERE amount IN (SELECT oid FROM pg_authid)",
    "pg_stat_activity in EXISTS": "SELECT 1 WHERE EXISTS (SELECT 1 FROM pg_stat_activity)",
    "a name of a part used before it": (
        "WITH a AS (SELECT 1 AS n FROM pg_class), pg_class AS (SELECT 1 AS n) SELECT n FROM a"
    ),
    "a part called like the catalogue": "WITH pg_class AS (SELECT 1 AS n) SELECT n FROM pg_class",
    "a part called like a view": "WITH sales AS (SELECT 1 AS amount) SELECT amount FROM sales",
    "a WITH deeper down": "SELECT 1 FROM (WITH a AS (SELECT 1 AS n) SELECT n FROM a) b",
    "a WITH deeper down that nobody uses": (
        "SELECT 1 FROM (WITH pg_class AS (SELECT 1 AS n) SELECT amount FROM sales) b"
    ),
    "a WITH in a WITH": ("WITH a AS (WITH b AS (SELECT 1 AS n) SELECT n FROM b) SELECT n FROM a"),
    "recursion": (
        "WITH RECURSIVE t AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM t) SELECT n FROM t"
    ),
    "recursion without a union": "WITH RECURSIVE t AS (SELECT n FROM t) SELECT n FROM t",
    "the facts": "SELECT data FROM facts",
    "the table behind a view": "SELECT amount_cents FROM purchases",
    "a qualified view": "SELECT amount FROM published.sales",
    "a qualified table": "SELECT 1 FROM public.facts",
    "another database": "SELECT 1 FROM orders.public.orders",
    "the tenant": "SELECT tenant_id FROM sales",
    "the tenant behind an alias": "SELECT s.tenant_id FROM sales s",
    "a system column": "SELECT ctid FROM sales",
    "a whole row": "SELECT sales FROM sales",
    "a quoted name that is another": 'SELECT "Amount" FROM sales',
    "a quoted table that is another": 'SELECT amount FROM "Sales"',
    "a quote in a name": 'SELECT amount AS "a"" FROM facts --" FROM sales',
    "a quoted alias with a semicolon": 'SELECT amount AS "; COMMIT" FROM sales',
    "renamed columns": "SELECT a FROM sales AS s(a)",
    "a backslash": "SELECT 'a\\' OR 1=1'",
    "an escape string": "SELECT E'\\047'",
    "a unicode string": "SELECT U&'\\0061'",
    "a dollar string": "SELECT $$a$$",
    "a bit string": "SELECT B'1'",
    "another parameter": "SELECT amount FROM sales WHERE month = :tenant",
    "a numbered parameter": "SELECT amount FROM sales WHERE month = $1",
    "a parameter without a name": "SELECT amount FROM sales WHERE month = ?",
    "a cast to a catalogue type": "SELECT 'facts'::regclass",
    "a cast to a row": "SELECT CAST(NULL AS pg_class)",
    "a cast to an array": "SELECT CAST('{}' AS int[])",
    "long text of little": "SELECT repeat('a', 1000000000)",
    "text joined to text": "SELECT 'a' || 'b'",
    "a huge number of little": "SELECT power(10, 100000)",
    "a number with an exponent": "SELECT 1e9999",
    "rows of nothing": "SELECT * FROM generate_series(1, 1000000000)",
    "unnest": "SELECT * FROM unnest(ARRAY[1])",
    "lateral": "SELECT 1 FROM sales, LATERAL (SELECT amount) x",
    "tablesample": "SELECT amount FROM sales TABLESAMPLE SYSTEM (1)",
    "a window": "SELECT SUM(amount) OVER () FROM sales",
    "an array of all": "SELECT array_agg(amount) FROM sales",
    "all as text": "SELECT string_agg(month, ',') FROM sales",
    "rows as json": "SELECT row_to_json(s) FROM sales s",
    "too long": "SELECT " + "1 + " * (MAX_LENGTH // 4) + "1",
    "too many parentheses": "SELECT " + "(" * 1000 + "1" + ")" * 1000,
    "too many cases": "SELECT " + "CASE WHEN " * 390 + "1",
    "too many minuses": "SELECT " + "- " * 1900 + "1",
    "readings without end": "SELECT 1 FROM sales " + "JOIN sales " * 300,
    "too many nots": "SELECT " + "NOT " * 900 + "true",
}

ALLOWED = [
    "SELECT SUM(amount) FROM sales WHERE month = :month",
    "select sum(Amount) from SALES s where s.Month = :month -- and that is all;",
    "SELECT /* ; COMMIT */ COUNT(*) FROM sales /* s */ AS s WHERE /* a */ amount > 1 /* b */;",
    'SELECT "amount" FROM "sales"',
    "SELECT reason FROM purchases WHERE reason = 'it''s; -- late'",
    "WITH a AS (SELECT month, amount AS n FROM sales), b AS (SELECT n FROM a) SELECT n FROM b",
    "SELECT * FROM (sales JOIN purchases USING (order_id)), vehicles",
    "SELECT s.amount FROM sales s, (purchases p CROSS JOIN (vehicles v JOIN customers ON true))",
    "SELECT amount FROM sales WHERE amount > (SELECT AVG(amount) FROM sales)",
    "SELECT COUNT(DISTINCT seller_id) FROM sales HAVING COUNT(*) > 1 LIMIT 5 OFFSET 1",
    "SELECT CASE WHEN amount > 5 THEN 'dear' ELSE 'cheap' END AS kind FROM sales",
    "SELECT CAST(sold_at AS date), amount::numeric / 100 FROM sales WHERE NOT month IN ('a', 'b')",
]


@pytest.mark.parametrize("template", REFUSED.values(), ids=REFUSED.keys())
def test_template_that_could_do_harm_is_refused(template: str) -> None:
    with pytest.raises(UnsafeTemplate):
        safe_query(template, 10)


@pytest.mark.parametrize("template", ALLOWED)
def test_template_of_figures_reads_views_of_one_tenant_only(template: str) -> None:
    sql = safe_query(template, 10).sql
    assert "/*" not in sql
    [query] = sqlglot.parse(sql, dialect="postgres")
    assert isinstance(query, exp.Select)

    parts = {part.alias for part in query.find_all(exp.CTE)}
    for table in query.find_all(exp.Table):
        if table.db:
            assert (table.db, table.name in VIEWS) == ("published", True)
            where = table.find_ancestor(exp.Select).args["where"]  # type: ignore[union-attr]
            assert where.sql("postgres") == 'WHERE "tenant_id" = CAST($1 AS TEXT)'
        else:
            assert table.name in parts


def test_template_becomes_a_limited_subquery_with_its_parameters_bound() -> None:
    query = safe_query("SELECT SUM(amount) AS total FROM sales WHERE month = :month -- a", 10)

    assert query.needs_month
    assert query.sql == (
        'SELECT * FROM (SELECT SUM("amount") AS "total" FROM (SELECT "order_id", "customer_id",'
        ' "vehicle_id", "seller_id", "amount", "sold_at", "month" FROM "published"."sales"'
        ' WHERE "tenant_id" = CAST($1 AS TEXT)) AS "sales"'
        ' WHERE "month" = CAST($2 AS TEXT)) AS kpi LIMIT 11'
    )


def test_template_without_month_needs_none() -> None:
    assert not safe_query("SELECT COUNT(*) FROM sales", 10).needs_month


def test_each_wrong_value_is_named() -> None:
    for template, why in {
        "SELECT amout FROM sales": "There is no column amout",
        "SELECT amount FROM sale": "There is no sale: there are sales, purchases",
        "SELECT pg_sleep(1)": "pg_sleep is not allowed",
        "SELECT 1; SELECT 2": "not one SELECT",
    }.items():
        with pytest.raises(UnsafeTemplate, match=why):
            safe_query(template, 10)
