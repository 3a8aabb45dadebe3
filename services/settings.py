"""What every service of the marketplace reads from the environment, with the marketplace's name."""

from typing import ClassVar

from libs.runtime.settings import ServiceSettings
from services.events import TENANT

NAME = "mercado-veiculo"


class MarketSettings(ServiceSettings):
    """A service adds its own fields in a subclass and sets `service`."""

    problem_prefix: ClassVar[str] = f"urn:{NAME}:problem:"
    tenant_attribute: ClassVar[str] = TENANT

    jwt_issuer: str = NAME
    jwt_audience: str = NAME
