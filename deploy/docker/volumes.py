"""One volume has all secrets, and each container has a volume with its own secrets.

A volume is at SECRETS in its own container; the job that fills the volumes sees them below OWN.
"""

import io
import os
import shutil
from datetime import datetime
from pathlib import Path

from deploy.auth import asked_auth, kept_auth
from deploy.certificates import LOOPBACK, Authority, ends, write_secret
from deploy.installation import ADMINISTRATOR, OPERATOR, SUPERUSER, VHOST, Installation
from deploy.observability.configuration import QUERIES, Targets, write_grafana, write_prometheus
from deploy.passwords import Passwords
from deploy.postgres import pgbouncer
from deploy.rabbitmq.tls import tls_settings
from deploy.secret_settings import write_secrets
from deploy.services import SERVICES, service_named
from libs.runtime.auth import ROLES
from libs.runtime.start_failure import StartFailure

SECRETS = Path("/var/lib/mercado-veiculo/secrets")
OWN = SECRETS.with_name("own")
FILES = SECRETS.with_name("files")
READABLE = 0o644
SETTINGS = "settings"
"""A service's secrets are in this folder. Each is in a file, which the service reads again."""
AUTHORITY, CERTIFICATE = "authority", "server.pem"
SEALED_KEYS = "keys.json.age"
"""Backups hold all passwords and keys in this file: only BACKUP_RECIPIENT can read them."""
HANDED = ("databases", "broker", "restored", "backup", "checker", "tests")
"""These containers have their own secrets, in addition to services and servers."""
PLUGINS = Path(__file__).parents[1] / "rabbitmq" / "enabled_plugins"
PGBOUNCER_PORT = 6432
HOSTS = {name: (name, *LOOPBACK) for name in ("db", "rabbitmq", "pgbouncer")}
"""Clients reach the servers by these names: containers, and this machine."""
ACCESS = """\
local all,replication all peer
hostssl all,replication all all scram-sha-256
"""
RABBITMQ_SETTINGS = """\
default_user = {user}
default_pass = {password}
consumer_timeout = 43200000
vm_memory_high_watermark.absolute = 600MB
log.console = true
log.console.level = warning
log.file = false
listeners.tcp = none
listeners.ssl.default = 5671
management.tcp.port = 15672
management.ssl.port = 15671
{tls}"""


def installation(passwords: Passwords, *, pooled: bool = False) -> Installation:
    """Return the servers as containers of the same network see them. If `pooled`, services reach
    Postgres through PgBouncer.
    """
    return Installation(
        "db:5432",
        "rabbitmq:5671",
        "rabbitmq:15671",
        passwords,
        FILES,
        {spec.name: f"http://{spec.name}:{spec.port}" for spec in SERVICES},
        pgbouncer=f"pgbouncer:{PGBOUNCER_PORT}" if pooled else None,
        authority=Authority(SECRETS / AUTHORITY),
        management_scheme="https",
    )


def make_up(secrets: Path, own: Path) -> None:
    """Make the missing secrets, store AUTH where it is set now, and write for each container below
    `own` the secrets it may know.

    Raises StartFailure for an invalid AUTH.
    """
    auth = kept_auth(secrets / "auth", asked_auth(secrets))
    authority = Authority(secrets / AUTHORITY)
    authority.make()
    for server, hosts in HOSTS.items():
        if not authority.still_good(own / server / CERTIFICATE, hosts):
            write_secret(own / server / CERTIFICATE, authority.issue(server, hosts), READABLE)
    everything = Passwords(secrets / "secrets.json")
    for role in ROLES:  # only the tools of this machine read these passwords of people
        installation(everything).sign_in_password(role)
    for name in (*HANDED, *(spec.name for spec in SERVICES)):
        draft = own / name / "handed.json"  # a container that starts meanwhile finds all or none
        made = installation(Passwords(draft, of=everything))
        ask_for(name, made)
        if name in {spec.name for spec in SERVICES}:
            write_secrets(made.settings(service_named(name), "", 0), own / name / SETTINGS)
        draft.replace(own / name / "secrets.json")
        (own / name / "auth").write_text(auth)
        trusted = own / name / AUTHORITY / authority.certificate.name
        trusted.parent.mkdir(exist_ok=True)
        _readable(trusted, authority.certificate.read_text())
    _readable(own / "db" / "postgres", everything.password(SUPERUSER))
    _readable(own / "db" / "pg_hba.conf", ACCESS)
    accounts = installation(everything).database_accounts()
    pooler = everything.password(pgbouncer.ADMINISTRATOR)
    _readable(own / "pgbouncer" / "userlist.txt", pgbouncer.user_list(accounts, pooler))
    _readable(
        own / "pgbouncer" / "pgbouncer.ini",
        pgbouncer.configuration(
            accounts,
            server=installation(everything).postgres,
            address="*",
            port=PGBOUNCER_PORT,
            users=SECRETS / "userlist.txt",
            certificate=SECRETS / CERTIFICATE,
            trusted=SECRETS / AUTHORITY,
        ),
    )
    _readable(own / "pgbouncer" / AUTHORITY, authority.certificate.read_text())
    password = everything.password(f"rabbitmq {ADMINISTRATOR}")
    tls = "".join(
        f"{key} = {value}\n" for key, value in tls_settings(str(SECRETS / CERTIFICATE)).items()
    )
    settings = RABBITMQ_SETTINGS.format(user=ADMINISTRATOR, password=password, tls=tls)
    (own / "rabbitmq" / "conf.d").mkdir(exist_ok=True)
    _readable(own / "rabbitmq" / "conf.d" / "mercado.conf", settings)
    _readable(own / "rabbitmq" / "enabled_plugins", PLUGINS.read_text())
    _watchers(own, everything, authority)
    _seal_keys(everything, own / "backup" / SEALED_KEYS)
    _delete_what_all_could_read(secrets)


def _watchers(own: Path, everything: Passwords, authority: Authority) -> None:
    services = {spec.name: f"{spec.name}:{spec.port}" for spec in SERVICES}
    targets = Targets(services, "rabbitmq:15692", "exporter:9187", VHOST)
    write_prometheus(own / "prometheus", targets)
    write_grafana(
        own / "grafana",
        seen_as=SECRETS,
        prometheus="http://prometheus:9090",
        jaeger="http://jaeger:16686",
    )
    _readable(own / "grafana" / "password", everything.readable("grafana admin"))
    account = installation(everything).exporter_account()
    _readable(own / "exporter" / "password", account.password)
    _readable(own / "exporter" / QUERIES.name, QUERIES.read_text())
    _readable(own / "exporter" / "ca.pem", authority.certificate.read_text())


def _seal_keys(everything: Passwords, place: Path) -> None:
    """Seal the keys only where backups are made."""
    recipient = os.environ.get("BACKUP_RECIPIENT")
    place.unlink(missing_ok=True)
    if recipient:
        from deploy.backup.failure import BackupFailed  # it loads a native library
        from deploy.backup.sealed import seal

        try:
            seal(io.BytesIO(everything.path.read_bytes()), place, recipient)
        except BackupFailed as error:
            raise StartFailure(f"BACKUP_RECIPIENT: {error}") from None


def renew_certificates(secrets: Path, own: Path) -> dict[str, datetime]:
    """Renew the certificates in the volumes of the servers, which have to reload them afterwards.
    Returns the end of each.
    """
    authority = Authority(secrets / AUTHORITY)
    for server, hosts in HOSTS.items():
        write_secret(own / server / CERTIFICATE, authority.issue(server, hosts), READABLE)
    return {server: ends(own / server / CERTIFICATE) for server in HOSTS}


def ask_for(name: str, made: Installation) -> None:
    """Ask for every secret that the container of this name needs."""
    if name == "databases":
        _ = made.superuser_url
        made.database_accounts()
        made.exporter_account()
        made.backup_account()
    elif name == "broker":
        for user in (ADMINISTRATOR, OPERATOR, *(spec.name for spec in SERVICES)):
            made.broker_url(user)
    elif name == "tests":
        _, _ = made.superuser_url, made.management_url
    elif name == "restored":
        _, _ = made.superuser_url, made.broker_url(ADMINISTRATOR)
        made.settings(service_named("customers"), "", 0)
    elif name == "backup":  # records backups in the portal
        made.backup_account()
        made.settings(service_named("portal"), "", 0)
    elif name == "checker":  # records its results in the portal
        _, _ = made.superuser_url, made.management_url
        made.settings(service_named("portal"), "", 0)
    else:
        made.settings(service_named(name), "", 0)


def _readable(file: Path, text: str) -> None:
    """Make a file readable for a server's user; no other container has the volume. Each time it is
    a new file, because PgBouncer does not notice a file that changes twice within a second.
    """
    write_secret(file, text.encode(), READABLE)


def _delete_what_all_could_read(secrets: Path) -> None:
    """Delete what an earlier release kept in the volume of all secrets."""
    (secrets / "postgres").unlink(missing_ok=True)
    shutil.rmtree(secrets / "rabbitmq", ignore_errors=True)
