"""What this service reads from the environment beside the settings of every service."""

from typing import Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, field_validator, model_validator

from libs.messaging.database_url import DatabaseUrlError, Dsn, parse_database_url, plain_dsn
from services.settings import MarketSettings


class KpisSettings(MarketSettings):
    service: str = "kpis"
    port: int = Field(default=8085, ge=0, le=65535)

    reader_database_url: str = Field(repr=False)
    """The same database, as a role that can read the published views only."""
    database_read_url: str = Field(default="", repr=False)
    """A standby of the database, as that same role: figures are computed there while it keeps up.
    Unset: there is none."""
    kpi_timeout_seconds: float = Field(default=2, gt=0, le=60)
    kpi_max_rows: int = Field(default=1000, ge=1, le=100_000)
    business_time_zone: str = "America/Sao_Paulo"
    """Whose calendar the months of the figures are of. Months of facts heard before a change follow
    with `python -m services.kpis.rebuild`."""

    @field_validator("database_read_url")
    @classmethod
    def _is_a_database(cls, url: str) -> str:
        if url:
            parse_database_url(url)
        return url

    @field_validator("business_time_zone")
    @classmethod
    def _is_a_zone(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError("name a time zone, such as America/Sao_Paulo") from None
        return name

    @model_validator(mode="after")
    def _reader_named(self) -> Self:
        self.check_database_url("READER_DATABASE_URL", self.reader_database_url)
        if self.database_read_url:
            self.check_database_url("DATABASE_READ_URL", self.database_read_url)
        return self

    @property
    def reader_dsn(self) -> str:
        return plain_dsn(parse_database_url(self.reader_database_url))

    @property
    def current_reader_dsn(self) -> Dsn:
        """As `reader_dsn`; with secrets in files what reads them, for each new connection."""
        return (lambda: self.now().reader_dsn) if self.read_from else self.reader_dsn

    @property
    def standby_dsn(self) -> Dsn | None:
        """Where DATABASE_READ_URL leads; with secrets in files what reads it for each connection.
        None where there is none.
        """
        if not self.database_read_url:
            return None
        return (lambda: self.now().database_read_url) if self.read_from else self.database_read_url

    def is_usable(self) -> bool:
        try:
            _ = self.reader_dsn
        except DatabaseUrlError:
            return False
        return super().is_usable()
