"""A PgBouncer in transaction mode is in front of the services' databases. It has these files, and
commands make it read them again.
"""

from collections.abc import Sequence
from pathlib import Path

from deploy.postgres.provision import DatabaseAccounts

ADMINISTRATOR = "pooler"
CONSOLE = "pgbouncer"
"""This is PgBouncer's own database, in which the administrator gives commands."""

CONFIGURATION = """\
[databases]
{databases}
[pgbouncer]
listen_addr = {address}
listen_port = {port}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = {users}
admin_users = {administrator}
server_login_retry = 1
pool_mode = transaction
max_client_conn = 1000
default_pool_size = 10
reserve_pool_size = 5
reserve_pool_timeout = 2
log_connections = 0
log_disconnections = 0
log_stats = 0
"""
TLS = """\
client_tls_sslmode = require
client_tls_cert_file = {certificate}
client_tls_key_file = {certificate}
server_tls_sslmode = verify-full
server_tls_ca_file = {trusted}
"""


def configuration(
    accounts: Sequence[DatabaseAccounts],
    *,
    server: str,
    address: str,
    port: int,
    users: Path,
    certificate: Path | None = None,
    trusted: Path | None = None,
) -> str:
    """Return the text of `pgbouncer.ini`: it listens at `address` and `port`, leads only to the
    databases of these services on `server` (HOST:PORT), and reads who may connect in `users`. It
    shows the `certificate`, whose key is before it in the file, and trusts the authority in
    `trusted`; without them it uses plain text.
    """
    host, _, at = server.rpartition(":")
    databases = "".join(f"{each.service} = host={host} port={at}\n" for each in accounts)
    plain = CONFIGURATION.format(
        databases=databases, address=address, port=port, users=users, administrator=ADMINISTRATOR
    )
    if certificate is None:
        return plain
    return plain + TLS.format(certificate=certificate, trusted=trusted)


def user_list(accounts: Sequence[DatabaseAccounts], administrator: str) -> str:
    """Return the text of `users`: the services' roles, and the administrator with a password.
    Migrations connect directly.
    """
    users = {f"{each.service}_app": each.app_password for each in accounts}
    users[ADMINISTRATOR] = administrator
    return "".join(f'"{name}" "{password}"\n' for name, password in users.items())
