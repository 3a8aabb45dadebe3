"""A module of each service's name reads what the service holds of a purchase. A service that only
keeps views has none.

`STATEMENT` reads the records by order id, with their tenant and their state, and takes the grace in
seconds where it names `$1`. `RULES` are the rules of these records.
"""

from collections.abc import Mapping
from importlib import import_module
from importlib.util import find_spec

from deploy.checker.purchase import Rule
from deploy.services import SERVICES

_PATHS = {spec.name: f"{__name__}.{spec.name}" for spec in SERVICES}
_MODULES = {name: import_module(path) for name, path in _PATHS.items() if find_spec(path)}

STATEMENTS: Mapping[str, str] = {name: each.STATEMENT for name, each in _MODULES.items()}
"""Each service's statement has the service's name here."""


def rules_of(service: str) -> Mapping[str, Rule]:
    """Return the rules of the service's records, by name; none where it has no records."""
    rules: Mapping[str, Rule] = getattr(_MODULES.get(service), "RULES", {})
    return rules
