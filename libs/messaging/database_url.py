"""Database URLs as people write them, mapped to what SQLAlchemy with asyncpg takes."""

from sqlalchemy import URL, make_url

DRIVERS = frozenset(
    {"postgres", "postgresql", "postgresql+psycopg", "postgresql+psycopg2", "postgresql+asyncpg"}
)

PARAMETERS = frozenset({"sslmode", "ssl", "target_session_attrs", "host", "port"})
INSTEAD = {"sslrootcert": "PGSSLROOTCERT", "sslcert": "PGSSLCERT", "sslkey": "PGSSLKEY"}
"""libpq's parameters that the driver takes from the environment only."""


def asyncpg_url(text: str) -> URL:
    """`postgresql://`, `+psycopg`, `+psycopg2` and `+asyncpg` become asyncpg; libpq's `sslmode`
    becomes asyncpg's `ssl`, which takes the same words.

    Raises ValueError or sqlalchemy's ArgumentError for anything else, never naming the password.
    """
    try:
        url = make_url(text)
    except ValueError:
        raise ValueError("the port is not a number") from None
    if url.drivername not in DRIVERS:
        raise ValueError(f"{url.drivername}:// is not a Postgres URL")
    if not url.database:
        raise ValueError("names no database")
    query = dict(url.query)
    for name in sorted(query.keys() - PARAMETERS):
        raise ValueError(_what_to_do(name))
    if "sslmode" in query:
        query["ssl"] = query.pop("sslmode")
    return url.set(drivername="postgresql+asyncpg", query=query)


def _what_to_do(parameter: str) -> str:
    if parameter in INSTEAD:
        return f"set {INSTEAD[parameter]} in the environment instead of {parameter}"
    known = ", ".join(sorted(PARAMETERS - {"ssl"}))
    return f"the parameter {parameter[:40]} is not known, leave it out; known are {known}"


def url_from_parts(*, user: str, password: str, host: str, port: int, database: str) -> URL:
    return URL.create(
        "postgresql+asyncpg",
        username=user,
        password=password,
        host=host,
        port=port,
        database=database,
    )


def plain_dsn(url: URL) -> str:
    """The same place as asyncpg and libpq read it, password included."""
    query = dict(url.query)
    if "ssl" in query:
        query["sslmode"] = query.pop("ssl")
    return url.set(drivername="postgresql", query=query).render_as_string(hide_password=False)
