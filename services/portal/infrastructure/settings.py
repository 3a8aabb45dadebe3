"""The portal reads these settings from the environment, beside those of every service."""

from datetime import timedelta
from typing import Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from libs.messaging.broker_url import BrokerUrl, parse_broker_url
from libs.runtime.crypto import BlindIndexSetting, CipherSetting
from services.settings import StandbySettings


class PortalSettings(StandbySettings):
    """The portal signs users in itself, so AUTH does not apply to it."""

    service: str = "portal"
    port: int = Field(default=8086, ge=0, le=65535)
    max_body_bytes: int = Field(default=4 * 1024 * 1024, ge=1024)

    data_keys: CipherSetting = Field(repr=False)
    """These master keys seal users' names and e-mails and the keys that sign tokens."""
    index_key: BlindIndexSetting = Field(repr=False)
    """This key, BASE64, finds users by e-mail. It never changes."""

    session_seconds: int = Field(default=12 * 3600, ge=60)
    token_seconds: int = Field(default=300, ge=30, le=3600)
    secure_cookies: bool = False
    """This is true wherever the portal is reached over https."""
    audit_months: int = Field(default=60, ge=1)
    timeline_months: int = Field(default=24, ge=1)
    """Timelines are kept for this time, and then dropped by whole months."""

    mailer: Literal["off", "console"] = "off"
    """Links for forgotten passwords go nowhere, or for `console` to standard output, where every
    reader can use them. (The variable MAIL would be the mailbox that a login sets.)
    """
    public_url: str = ""
    """Links in mail begin with this address, by default the portal's port on this machine."""

    orders_url: str = "http://127.0.0.1:8000"
    customers_url: str = "http://127.0.0.1:8080"
    vehicles_url: str = "http://127.0.0.1:8081"
    payments_url: str = "http://127.0.0.1:8082"
    payouts_url: str = "http://127.0.0.1:8084"
    kpis_url: str = "http://127.0.0.1:8085"

    rabbitmq_operator_url: str = Field(default="", repr=False)
    """This amqp(s):// user may read dead letters and write to the redrive exchanges."""

    @model_validator(mode="after")
    def _servers_named(self) -> Self:
        if self.rabbitmq_operator_url:
            self.check_broker_url(
                "RABBITMQ_OPERATOR_URL", parse_broker_url, self.rabbitmq_operator_url
            )
        return self

    @property
    def current_operator(self) -> BrokerUrl:
        """Return RABBITMQ_OPERATOR_URL in the form that `current_broker` has."""
        if not self.read_from:
            return self.rabbitmq_operator_url
        return lambda: self.now().rabbitmq_operator_url

    @property
    def addresses(self) -> dict[str, str]:
        """Return the addresses of the other services, by name."""
        return {
            "orders": self.orders_url,
            "customers": self.customers_url,
            "vehicles": self.vehicles_url,
            "payments": self.payments_url,
            "payouts": self.payouts_url,
            "kpis": self.kpis_url,
        }

    @property
    def public_address(self) -> str:
        """Return the public address, without a slash at the end."""
        return self.public_url.rstrip("/") or f"http://127.0.0.1:{self.port}"

    @field_validator("public_url")
    @classmethod
    def _is_an_address(cls, url: str) -> str:
        parts = urlsplit(url)
        if url and (parts.scheme not in ("http", "https") or not parts.hostname or parts.query):
            raise ValueError("write it as https://market.example")
        return url

    @property
    def checks_peer_tokens(self) -> bool:
        return False

    @property
    def session_lifetime(self) -> timedelta:
        return timedelta(seconds=self.session_seconds)

    @property
    def token_lifetime(self) -> timedelta:
        return timedelta(seconds=self.token_seconds)

    def _check_auth(self) -> None:
        pass
