"""Kpis reads these settings from the environment, beside those of every service."""

from typing import Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, field_validator, model_validator

from libs.messaging.database_url import DatabaseUrlError, Dsn, parse_database_url, plain_dsn
from services.settings import StandbySettings


class KpisSettings(StandbySettings):
    service: str = "kpis"
    port: int = Field(default=8085, ge=0, le=65535)

    reader_database_url: str = Field(repr=False)
    """This URL names the same database, with a role that can read the published views only."""
    kpi_timeout_seconds: float = Field(default=2, gt=0, le=60)
    kpi_max_rows: int = Field(default=1000, ge=1, le=100_000)
    business_time_zone: str = "America/Sao_Paulo"
    """The months of the figures are those of this zone. After a change `python -m
    services.kpis.rebuild` corrects older months.
    """

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
        return self

    @property
    def reader_dsn(self) -> str:
        return plain_dsn(parse_database_url(self.reader_database_url))

    @property
    def current_reader_dsn(self) -> Dsn:
        """Return `reader_dsn` or, with secrets in files, a function that reads it anew."""
        return (lambda: self.now().reader_dsn) if self.read_from else self.reader_dsn

    def is_usable(self) -> bool:
        try:
            _ = self.reader_dsn
        except DatabaseUrlError:
            return False
        return super().is_usable()
