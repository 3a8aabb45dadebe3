"""This is the one list of services, for what starts, provisions or addresses them."""

from dataclasses import dataclass


@dataclass(frozen=True)
class ServiceSpec:
    """A service serves at `port` when that port is free."""

    name: str
    port: int
    seals_personal_data: bool = False
    has_reader: bool = False
    """The service runs statements as a database role that can only read published views."""
    is_portal: bool = False
    """The service shows all others, and the broker, to the people who work with them."""


SERVICES = (
    ServiceSpec("orders", 8000),
    ServiceSpec("customers", 8080, seals_personal_data=True),
    ServiceSpec("vehicles", 8081, seals_personal_data=True),
    ServiceSpec("payments", 8082),
    ServiceSpec("payouts", 8084),
    ServiceSpec("kpis", 8085, has_reader=True),
    ServiceSpec("portal", 8086, seals_personal_data=True, is_portal=True),
)


def service_named(name: str) -> ServiceSpec:
    """Return the service. Raises ValueError, which names the existing services."""
    for spec in SERVICES:
        if spec.name == name:
            return spec
    known = ", ".join(spec.name for spec in SERVICES)
    raise ValueError(f"there is no service {name!r}: there are {known}")
