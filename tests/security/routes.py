"""Reads from an application which requests it answers."""

from starlette.routing import Mount, Route

from tests.fixtures.services import ServiceClient
from tests.fixtures.whole_market import app_of


def endpoints(client: ServiceClient) -> set[str]:
    """Return `METHOD /path` of each route, also where no document shows it, and `MOUNT /path`."""
    found = set()
    for route in app_of(client).routes:
        assert isinstance(route, Route | Mount), route
        methods = (isinstance(route, Route) and route.methods) or {"MOUNT"}
        found |= {f"{method} {route.path}" for method in methods - {"HEAD", "OPTIONS"}}
    return found
