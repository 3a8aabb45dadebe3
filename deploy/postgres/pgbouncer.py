"""The files of a PgBouncer in transaction mode before the databases of the services."""

from collections.abc import Sequence
from pathlib import Path

from deploy.postgres.provision import DatabaseAccounts

CONFIGURATION = """\
[databases]
{databases}
[pgbouncer]
listen_addr = {address}
listen_port = {port}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = {users}
pool_mode = transaction
max_client_conn = 1000
default_pool_size = 10
reserve_pool_size = 5
reserve_pool_timeout = 2
log_connections = 0
log_disconnections = 0
log_stats = 0
"""


def configuration(
    accounts: Sequence[DatabaseAccounts], *, server: str, address: str, port: int, users: Path
) -> str:
    """The text of `pgbouncer.ini`: it listens at `address` and `port`, leads to the databases of
    these services on `server` (HOST:PORT) and to no other, and reads who may enter in `users`.
    """
    host, _, at = server.rpartition(":")
    databases = "".join(f"{each.service} = host={host} port={at}\n" for each in accounts)
    return CONFIGURATION.format(databases=databases, address=address, port=port, users=users)


def user_list(accounts: Sequence[DatabaseAccounts]) -> str:
    """The text of that file: the services' roles. Migrations connect directly."""
    return "".join(f'"{each.service}_app" "{each.app_password}"\n' for each in accounts)
