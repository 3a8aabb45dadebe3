"""A service's main.py reads its settings once, from the environment and `.env`."""

import secrets
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from functools import cached_property
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import ClassVar, Literal, Self, TypeVar
from urllib.parse import quote

from pydantic import Field, ValidationError, field_validator, model_validator
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict
from sqlalchemy import URL

from libs.kernel.secret_files import SecretFileError, read_secret_file
from libs.messaging.broker_url import (
    BrokerUrl,
    BrokerUrlError,
    parse_broker_url,
    parse_management_url,
    vhost_of,
)
from libs.messaging.database_url import (
    DatabaseUrlError,
    Dsn,
    parse_database_url,
    plain_dsn,
    url_from_parts,
)
from libs.messaging.plain_text import (
    Tls,
    check_broker_is_private,
    check_database_is_private,
    is_loopback,
)
from libs.messaging.schema.inbox_window import INBOX_WINDOW
from libs.runtime.secret_file_settings import SecretFiles
from libs.runtime.start_failure import StartFailure

CHOREOGRAPHY = Path(__file__).parents[2] / "services" / "choreography.json"

Role = Literal["all", "api", "worker", "relay"]


class DatabaseSettings(BaseSettings):
    """The database is named by a URL, or by the parts of one."""

    model_config = SettingsConfigDict(
        env_file=".env",
        env_file_encoding="utf-8",
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
        hide_input_in_errors=True,
    )

    database_url: str = Field(default="", repr=False)
    """This takes precedence over the POSTGRES_* parts. `postgresql://` of any driver is mapped to
    asyncpg.
    """
    db_url: str = Field(default="", repr=False)
    """This is like DATABASE_URL, with `${DB_PASSWORD}` in place of the password. DATABASE_URL takes
    precedence.
    """
    db_password: str = Field(default="", repr=False)
    postgres_user: str = ""
    postgres_password: str = Field(default="", repr=False)
    postgres_db: str = ""
    postgres_host: str = "127.0.0.1"
    postgres_port: int = Field(default=5432, ge=1, le=65535)

    tls: Tls = "remote"
    """Plain text is allowed on the loopback (`remote`), nowhere (`required`) or everywhere (`off`),
    for networks that something else keeps private."""

    read_from: Mapping[str, Path] = Field(default_factory=dict)
    """NAME_FILE named these files, by the secret that each holds. This is no setting."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Let the environment precede `.env`, each with the files that it names."""
        files = SecretFiles(settings_cls, env_settings, dotenv_settings)
        return init_settings, files, env_settings, dotenv_settings, file_secret_settings

    def now(self) -> Self:
        """Return these settings with what the files of secrets hold now. A file that cannot be read
        or used leaves the value as it was: files may be replaced at that moment.
        """
        changed: dict[str, str] = {}
        for name, file in self.read_from.items():
            if isinstance(getattr(self, name), str):
                with suppress(SecretFileError):
                    changed[name] = read_secret_file(file)
        if all(getattr(self, name) == value for name, value in changed.items()):
            return self
        fresh = self.model_copy(update=changed)
        return fresh if fresh.is_usable() else self

    def is_usable(self) -> bool:
        """Return whether the URLs can be read."""
        try:
            _ = self.database_place
        except DatabaseUrlError:
            return False
        return True

    def check_database_url(self, name: str, url: str) -> None:
        """Raise ValueError, which names the setting, for a URL that cannot be used or is not
        private enough.
        """
        try:
            check_database_is_private(parse_database_url(url), self.tls)
        except DatabaseUrlError as error:
            raise ValueError(f"{name}: {error}") from None

    @model_validator(mode="after")
    def _database_named(self) -> Self:
        try:
            check_database_is_private(self.database_place, self.tls)
        except DatabaseUrlError as error:
            raise ValueError(f"DATABASE_URL: {error}") from None
        return self

    @property
    def database_place(self) -> URL:
        if self.database_url:
            return parse_database_url(self.database_url)
        if self.db_url:
            return self._url_with_password()
        missing = [
            name
            for name in ("postgres_user", "postgres_password", "postgres_db")
            if not getattr(self, name)
        ]
        if missing:
            names = ", ".join(name.upper() for name in missing)
            raise DatabaseUrlError(f"not set, and neither is {names}")
        return url_from_parts(
            user=self.postgres_user,
            password=self.postgres_password,
            host=self.postgres_host,
            port=self.postgres_port,
            database=self.postgres_db,
        )

    def _url_with_password(self) -> URL:
        if "${DB_PASSWORD}" in self.db_url and not self.db_password:
            raise DatabaseUrlError("not set, and DB_URL needs DB_PASSWORD, which is not set either")
        password = quote(self.db_password, safe="")
        return parse_database_url(self.db_url.replace("${DB_PASSWORD}", password))

    @property
    def database_dsn(self) -> str:
        """Return the URL for `libs.messaging.database`, password included."""
        return plain_dsn(self.database_place)

    @property
    def current_dsn(self) -> Dsn:
        """Return `database_dsn`. With secrets in files this is a function that reads them, for each
        new connection.
        """
        return (lambda: self.now().database_dsn) if self.read_from else self.database_dsn


class ServiceSettings(DatabaseSettings):
    """Every service reads these. A subclass adds a service's own fields and sets `service`."""

    problem_prefix: ClassVar[str] = "urn:problem:"
    """A problem's `type` is this and its code. An application has its own URN."""
    tenant_attribute: ClassVar[str] = "tenantid"
    """This CloudEvents attribute names an event's tenant."""

    service: str
    role: Role = "all"
    host: str = "127.0.0.1"
    port: int = Field(default=8000, ge=0, le=65535)

    pool_size: int = Field(default=10, ge=5, le=10)
    """The pool keeps this many connections; up to five more are opened under load."""
    pgbouncer: bool = False
    """The database is reached through PgBouncer in transaction mode: nothing is prepared, nothing
    set for a session, and nobody listens for NOTIFY."""

    rabbitmq_url: str = Field(default="", repr=False)
    rabbitmq_management_url: str = Field(default="", repr=False)
    """The URL's user may look (tag `management` or `monitoring`). With the URL, readiness tells
    within a minute when a binding of this service's events is gone."""
    choreography: Path = CHOREOGRAPHY
    """This document says what the other services publish and consume."""

    auth: Literal["on", "off"] = "off"
    auth_off_bind_any: bool = False
    """Containers publish their ports on the host's loopback, so the plain compose file may bind
    every address with tokens off. Anywhere else everybody on the network could call the service.
    """
    jwks_url: str = ""
    """The public keys are here: http(s)://, file:// or a path."""
    jwt_issuer: str = ""
    jwt_audience: str = ""
    cursor_secret: str = Field(default="", repr=False)
    """This signs page cursors; it is the same for every process of a service."""

    trusted_proxies: str = ""
    """The proxies in front of this service have these addresses and networks, with commas between.
    Only from them X-Forwarded-For and X-Forwarded-Proto are believed; unset, from nobody."""

    outbox_retention_days: int = Field(default=1, ge=0, le=INBOX_WINDOW.replayable.days)
    """Delivered events are kept in the archive for this many days, for replay, and never longer
    than the inboxes of their consumers remember them. 0 deletes them at once: what is lost with a
    queue or a binding is then lost for good.
    """
    outbox_high_water_rows: int = Field(default=50_000, ge=1, le=100_000)
    outbox_high_water_seconds: float = Field(default=900.0, gt=0)
    """Above either, writing requests are answered 503 until the relay has caught up."""

    max_body_bytes: int = Field(default=64 * 1024, ge=1024)
    shutdown_seconds: int = Field(default=20, ge=1)
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    otel_exporter_otlp_endpoint: str = ""
    """The collector of spans takes OTLP over HTTP; without it none are recorded."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        self._check_auth()
        if not self.rabbitmq_url and self.role != "api":
            raise ValueError("RABBITMQ_URL is not set")
        if self.rabbitmq_url:
            self.check_broker_url("RABBITMQ_URL", parse_broker_url, self.rabbitmq_url)
        if self.rabbitmq_management_url:
            self.check_broker_url(
                "RABBITMQ_MANAGEMENT_URL", parse_management_url, self.rabbitmq_management_url
            )
        if not self.cursor_secret and self.serves_api and not self.binds_loopback:
            raise ValueError("CURSOR_SECRET is not set (needed when HOST is not loopback)")
        return self

    @field_validator("otel_exporter_otlp_endpoint")
    @classmethod
    def _is_over_http(cls, value: str) -> str:
        if value and not value.startswith(("http://", "https://")):
            raise ValueError("write it as http://collector.example:4318")
        return value

    def check_broker_url(self, name: str, parse: Callable[[str], object], value: str) -> None:
        """Raise ValueError, which names the setting, for a URL that cannot be used or is not
        private enough.
        """
        try:
            parse(value)
            check_broker_is_private(value, self.tls)
        except BrokerUrlError as error:
            raise ValueError(f"{name}: {error}") from None

    @field_validator("trusted_proxies")
    @classmethod
    def _are_addresses(cls, value: str) -> str:
        for each in value.split(","):
            try:
                if each.strip():
                    ip_network(each.strip())
            except ValueError as error:
                raise ValueError(
                    f"{error}: write addresses or networks, such as 10.0.0.0/8"
                ) from None
        return value

    def _check_auth(self) -> None:
        if self.auth == "on" and not self.jwks_url:
            raise ValueError("JWKS_URL is not set (needed with AUTH=on)")
        if self.auth == "on" and not (self.jwt_issuer and self.jwt_audience):
            raise ValueError("JWT_ISSUER or JWT_AUDIENCE is not set (needed with AUTH=on)")
        open_door = self.auth == "off" and self.serves_api and not self.binds_loopback
        if open_door and not self.auth_off_bind_any:
            raise ValueError(
                f"AUTH=off serves loopback only and HOST is {self.host}: set AUTH=on"
                " (or AUTH_OFF_BIND_ANY=true where the port is published on loopback)"
            )

    @property
    def checks_peer_tokens(self) -> bool:
        """Return whether the keys are at JWKS_URL."""
        return self.auth == "on"

    @property
    def outbox_retention(self) -> timedelta | None:
        """Return how long delivered events are kept; None when they are deleted."""
        days = self.outbox_retention_days
        return timedelta(days=days) if days else None

    @property
    def current_management(self) -> BrokerUrl:
        """Return RABBITMQ_MANAGEMENT_URL as `current_broker` returns RABBITMQ_URL."""
        if not self.read_from:
            return self.rabbitmq_management_url
        return lambda: self.now().rabbitmq_management_url

    def is_usable(self) -> bool:
        try:
            if self.rabbitmq_url:
                parse_broker_url(self.rabbitmq_url)
        except BrokerUrlError:
            return False
        return super().is_usable()

    @property
    def current_broker(self) -> BrokerUrl:
        """Return RABBITMQ_URL. When a file holds it, this is a function that reads the file, for
        each new connection.
        """
        return (lambda: self.now().rabbitmq_url) if self.read_from else self.rabbitmq_url

    @property
    def databases(self) -> Sequence[URL]:
        """Return where the service reads and writes."""
        return [self.database_place]

    @property
    def vhost(self) -> str:
        """Return the broker's virtual host, as RABBITMQ_URL names it."""
        return vhost_of(self.rabbitmq_url)

    @property
    def serves_api(self) -> bool:
        return self.role in ("all", "api")

    @property
    def works(self) -> bool:
        """Return whether this process consumes events and runs the loops."""
        return self.role in ("all", "worker")

    @property
    def relays(self) -> bool:
        return self.role in ("all", "relay")

    @property
    def proxies(self) -> list[str]:
        """Return TRUSTED_PROXIES, each IPv4 one also as a socket for IPv6 names it."""
        networks = [
            ip_network(each.strip()) for each in self.trusted_proxies.split(",") if each.strip()
        ]
        mapped = [
            f"::ffff:{each.network_address}/{96 + each.prefixlen}"
            for each in networks
            if each.version == 4
        ]
        return [*map(str, networks), *mapped]

    def is_proxy(self, address: str) -> bool:
        """Return whether this address is one of TRUSTED_PROXIES."""
        try:
            peer = ip_address(address)
        except ValueError:
            return False
        return any(peer in ip_network(each) for each in self.proxies)

    @property
    def binds_loopback(self) -> bool:
        return is_loopback(self.host)

    @cached_property
    def cursor_key(self) -> bytes:
        """Return the secret; without one a random key, whose cursors end with the process."""
        return self.cursor_secret.encode() or secrets.token_bytes(32)


S = TypeVar("S", bound=BaseSettings)


def read_settings(settings_type: type[S]) -> S:
    """Read the environment and `.env`. Raises StartFailure, which names each wrong setting."""
    try:
        return settings_type()
    except ValidationError as error:
        raise StartFailure("; ".join(_line(detail) for detail in error.errors())) from None


def _line(detail: ErrorDetails) -> str:
    name = ".".join(str(part) for part in detail["loc"]).upper()
    message = detail["msg"].removeprefix("Value error, ")
    return f"{name}: {message}" if name else message
