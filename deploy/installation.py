"""An installation is one running system seen from outside: its servers' addresses and accounts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal
from urllib.parse import quote

from deploy.certificates import Authority
from deploy.passwords import Passwords
from deploy.postgres import pgbouncer as pooler
from deploy.postgres import provision as postgres
from deploy.postgres.provision import DatabaseAccounts, ReplicationAccount
from deploy.postgres.watching import ExporterAccount
from deploy.rabbitmq import provision as rabbitmq
from deploy.services import SERVICES, ServiceSpec
from libs.messaging.saga.choreography import DescribedParticipant

SUPERUSER = "postgres"
ADMINISTRATOR = "administrator"
OPERATOR = "operator"
EXPORTER = "exporter"
BACKUP = "backup"
"""This role may copy the files of the database server, and nothing else."""
VHOST = "mercado"
ROOT = Path(__file__).parents[1]
CHOREOGRAPHY = ROOT / "services" / "choreography.json"


@dataclass(frozen=True)
class Installation:
    """The addresses are `HOST:PORT`, those of the services URLs. `files` is the folder for what
    services store outside of databases. `sockets` is the folder of Postgres' Unix socket, where it
    can be reached: a round trip there costs less than over the loopback. `pgbouncer` is the address
    of a PgBouncer in transaction mode, where services go through it. `standby` is the address of a
    standby of Postgres, where there is one: lists and figures are read there. With an `authority`,
    clients speak TLS with all of these and trust the certificates it has signed. `administrator` is
    the broker's.
    """

    postgres: str
    rabbitmq: str
    management: str
    passwords: Passwords
    files: Path
    services: Mapping[str, str]
    sockets: Path | None = None
    pgbouncer: str | None = None
    standby: str | None = None
    authority: Authority | None = None
    management_scheme: Literal["http", "https"] = "http"
    administrator: str = ADMINISTRATOR

    def database_url(self, database: str, role: str) -> str:
        account = f"postgresql://{role}:{self.passwords.password(role)}"
        if self.sockets is None:
            trust = self.authority.database_parameters if self.authority else ""
            return _with(f"{account}@{self.postgres}/{database}", trust)
        port = self.postgres.rpartition(":")[2]
        return f"{account}@/{database}?host={quote(str(self.sockets))}&port={port}"

    @property
    def superuser_url(self) -> str:
        return self.database_url("postgres", SUPERUSER)

    def broker_url(self, user: str, vhost: str = VHOST) -> str:
        password = self.passwords.password(f"rabbitmq {user}")
        place = f"{user}:{password}@{self.rabbitmq}/{vhost}"
        if self.authority is None:
            return f"amqp://{place}"
        return _with(f"amqps://{place}", self.authority.broker_parameters)

    @property
    def management_url(self) -> str:
        return self._management_url(self.administrator)

    def _management_url(self, user: str) -> str:
        password = self.passwords.password(f"rabbitmq {user}")
        url = f"{self.management_scheme}://{user}:{password}@{self.management}"
        if self.authority is None or self.management_scheme == "http":
            return url
        return _with(url, self.authority.broker_parameters)

    @property
    def jwks_url(self) -> str:
        """Return the address of the keys of the portal's tokens, for services."""
        return f"{self.services['portal']}/.well-known/jwks.json"

    @property
    def ledger(self) -> Path:
        """Return the file that remembers which customers were erased."""
        return self._ledger("customers")

    def _ledger(self, service: str) -> Path:
        return self.files / f"{service}-erasures.jsonl"

    @property
    def pooler_url(self) -> str | None:
        """Return where PgBouncer's administrator sends commands; None without one."""
        if self.pgbouncer is None:
            return None
        return self._url_at(self.pgbouncer, pooler.CONSOLE, pooler.ADMINISTRATOR)

    def _url_at(self, server: str, database: str, role: str) -> str:
        return replace(self, postgres=server, sockets=None).database_url(database, role)

    def sign_in_password(self, role: str) -> str:
        """Return the password of the person with this role in the portal."""
        return self.passwords.readable(f"portal {role}")

    def sight(self) -> dict[str, str]:
        """Return the portal's settings for the other services and the broker it shows."""
        return {
            "RABBITMQ_OPERATOR_URL": self.broker_url(OPERATOR),
            "RABBITMQ_MANAGEMENT_URL": self._management_url(OPERATOR),
            **{
                f"{spec.name.upper()}_URL": self.services[spec.name]
                for spec in SERVICES
                if not spec.is_portal
            },
        }

    def administration(self) -> dict[str, str]:
        """Return the environment of `python -m libs.messaging`."""
        return {
            "RABBITMQ_URL": self.broker_url(self.administrator),
            "RABBITMQ_MANAGEMENT_URL": self.management_url,
        }

    def migration(self, service: str) -> dict[str, str]:
        """Return the environment of `python -m libs.runtime.migrations`."""
        return {"MIGRATOR_DATABASE_URL": self.database_url(service, f"{service}_migrator")}

    def settings(self, spec: ServiceSpec, host: str, port: int) -> dict[str, str]:
        """Return the environment of `python -m services.NAME.main`."""
        settings = {
            "DATABASE_URL": self.database_url(spec.name, f"{spec.name}_app"),
            "RABBITMQ_URL": self.broker_url(spec.name),
            "RABBITMQ_MANAGEMENT_URL": self._management_url(spec.name),
            "HOST": host,
            "PORT": str(port),
            "CURSOR_SECRET": self.passwords.password(f"{spec.name} cursors"),
            # The archive is kept for replay, and for the check that every event was consumed.
            "OUTBOX_RETENTION_DAYS": "7",
        }
        if self.pgbouncer is not None:
            settings["DATABASE_URL"] = self._url_at(self.pgbouncer, spec.name, f"{spec.name}_app")
            settings["PGBOUNCER"] = "true"
        if spec.seals_personal_data:
            keys = self.passwords.keys(f"{spec.name} data")
            settings["DATA_KEYS"] = ",".join(f"{key_id}:{key}" for key_id, key in keys.items())
            settings["INDEX_KEY"] = self.passwords.key(f"{spec.name} index")
            settings["ERASURE_LEDGER"] = str(self._ledger(spec.name))
        if spec.has_reader:
            settings["READER_DATABASE_URL"] = self.database_url(spec.name, f"{spec.name}_reader")
        if self.standby is not None and (spec.has_reader or spec.is_portal):
            role = f"{spec.name}_reader" if spec.has_reader else f"{spec.name}_app"
            settings["DATABASE_READ_URL"] = self._url_at(self.standby, spec.name, role)
        if spec.is_portal:
            settings |= {"MAILER": "console", **self.sight()}
        return settings

    def database_accounts(self) -> list[DatabaseAccounts]:
        return [
            DatabaseAccounts(
                spec.name,
                self.passwords.password(f"{spec.name}_migrator"),
                self.passwords.password(f"{spec.name}_app"),
                self.passwords.password(f"{spec.name}_reader") if spec.has_reader else None,
                shows_statements=spec.is_portal,
            )
            for spec in SERVICES
        ]

    def exporter_account(self) -> ExporterAccount:
        return ExporterAccount(EXPORTER, self.passwords.password(EXPORTER))

    def backup_account(self) -> ReplicationAccount:
        return ReplicationAccount(BACKUP, self.passwords.password(BACKUP))

    async def provision_postgres(self) -> None:
        await postgres.provision(
            self.superuser_url,
            self.database_accounts(),
            self.exporter_account(),
            self.backup_account(),
        )

    async def provision_rabbitmq(self, participants: Sequence[DescribedParticipant]) -> None:
        await rabbitmq.provision(
            self.management_url,
            VHOST,
            [
                rabbitmq.BrokerAccount(
                    participant.name,
                    self.passwords.password(f"rabbitmq {participant.name}"),
                    [event.type for event in participant.publishes],
                )
                for participant in participants
            ],
            rabbitmq.OperatorAccount(OPERATOR, self.passwords.password(f"rabbitmq {OPERATOR}")),
        )


def _with(url: str, parameters: str) -> str:
    return f"{url}?{parameters}" if parameters else url
