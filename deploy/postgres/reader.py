"""The role `SERVICE_reader` reads the views of the schema `published` and can do nothing else.

It runs statements that people write into a form. The service checks them first; this role limits
the damage if the check misses something. A statement finds only views to read, a few seconds, a
little memory, and no function with a lasting effect.
"""

import asyncpg

# Postgres lets everybody call most of these. The service's own roles keep those, and only those: a
# function that only a superuser may call (lo_import reads any file) stays with the superuser.
LEAVES_A_TRACE = (
    "pg_sleep(_for|_until)?|set_config|pg_notify|pg_(try_)?advisory_.*|lo_.*|lo(read|write)"
    "|pg_(cancel|terminate)_backend|(query|table|schema|database|cursor)_to_xml.*"
    "|pg_logical_emit_message|pg_export_snapshot|pg_current_xact_id|txid_current"
)
LIMITS = {
    "default_transaction_read_only": "on",
    "statement_timeout": "5s",
    "lock_timeout": "1s",
    "idle_in_transaction_session_timeout": "10s",
    "work_mem": "8MB",
    "max_parallel_workers_per_gather": "0",
}
SUPERUSERS_LIMITS = {"temp_file_limit": "64MB"}
CONNECTIONS = 20
FUNCTIONS = """
    SELECT oid::regprocedure AS function, EXISTS (
        SELECT FROM pg_init_privs WHERE classoid = 'pg_proc'::regclass AND objoid = pg_proc.oid
    ) AS is_superusers
    FROM pg_proc WHERE pronamespace = 'pg_catalog'::regnamespace AND proname ~ $1
"""


async def provision_reader(
    connection: asyncpg.Connection, service: str, password: str, *, superuser: bool
) -> None:
    """Create the role. `connection` is to the service's database, whose other roles exist. Only a
    superuser can set some of the limits, and revoke functions from everybody.

    Migrations create the views later; default privileges apply to them.
    """
    owner, app, reader = f"{service}_owner", f"{service}_app", f"{service}_reader"
    if not await connection.fetchval("SELECT 1 FROM pg_roles WHERE rolname = $1", reader):
        await connection.execute(f"CREATE ROLE {reader}")
    secret = await connection.fetchval("SELECT quote_literal($1)", password)
    await connection.execute(
        f"ALTER ROLE {reader} LOGIN PASSWORD {secret} CONNECTION LIMIT {CONNECTIONS}"
    )
    limits = LIMITS | SUPERUSERS_LIMITS if superuser else LIMITS
    for name, value in limits.items():
        await connection.execute(f"ALTER ROLE {reader} SET {name} = '{value}'")
    published = f"ALTER DEFAULT PRIVILEGES FOR ROLE {owner} IN SCHEMA published"
    await connection.execute(
        f"""
        GRANT CONNECT ON DATABASE {service} TO {reader};
        CREATE SCHEMA IF NOT EXISTS published AUTHORIZATION {owner};
        GRANT USAGE ON SCHEMA published TO {reader};
        {published} GRANT SELECT ON TABLES TO {reader};
        GRANT SELECT ON ALL TABLES IN SCHEMA published TO {reader};
        """
    )
    if not superuser:
        return
    for function, is_superusers in await connection.fetch(FUNCTIONS, f"^({LEAVES_A_TRACE})$"):
        change = "REVOKE" if is_superusers else "GRANT"
        direction = "FROM" if is_superusers else "TO"
        await connection.execute(
            f"REVOKE EXECUTE ON FUNCTION {function} FROM PUBLIC;"
            f"{change} EXECUTE ON FUNCTION {function} {direction} {owner}, {app}"
        )
