"""What an application answers to, read from the application itself."""

from fastapi.routing import iter_route_contexts

from tests.fixtures.services import ServiceClient
from tests.fixtures.whole_market import app_of


def endpoints(client: ServiceClient) -> set[str]:
    """`METHOD /path` of each route, those that no document shows as well; `MOUNT /path`."""
    found = set()
    for route in iter_route_contexts(app_of(client).routes):
        methods = set(route.methods or {"MOUNT"}) - {"HEAD", "OPTIONS"}
        found |= {f"{method} {route.path}" for method in methods}
    return found
