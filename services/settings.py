"""Every service of the marketplace reads these settings, which hold the marketplace's name."""

from collections.abc import Sequence
from typing import ClassVar, Self

from pydantic import Field, model_validator
from sqlalchemy import URL

from libs.messaging.database_url import Dsn, parse_database_url
from libs.runtime.settings import ServiceSettings
from services.events import TENANT

NAME = "mercado-veiculo"


class MarketSettings(ServiceSettings):
    """A service adds its own fields in a subclass and sets `service`."""

    problem_prefix: ClassVar[str] = f"urn:{NAME}:problem:"
    tenant_attribute: ClassVar[str] = TENANT

    jwt_issuer: str = NAME
    jwt_audience: str = NAME


class StandbySettings(MarketSettings):
    """A service reads from a standby of its database while the standby keeps up."""

    database_read_url: str = Field(default="", repr=False)
    """The standby's address, for the role that reads there. If it is unset, there is none."""

    @model_validator(mode="after")
    def _standby_named(self) -> Self:
        if self.database_read_url:
            self.check_database_url("DATABASE_READ_URL", self.database_read_url)
        return self

    @property
    def databases(self) -> Sequence[URL]:
        standby = [parse_database_url(self.database_read_url)] if self.database_read_url else []
        return [*super().databases, *standby]

    @property
    def standby_dsn(self) -> Dsn | None:
        """Return the DSN of DATABASE_READ_URL, or None without a standby. Where secrets stand in
        files, it is a function that reads them for each connection.
        """
        if not self.database_read_url:
            return None
        return (lambda: self.now().database_read_url) if self.read_from else self.database_read_url
