"""Rules of the services broken on purpose, one at a time. The simulation must find each.

Each is a context manager: inside it the rule is broken, outside everything is as it was.
"""

from tests.simulation.mutations import customers, followers, messaging, orders, payments, vehicles
from tests.simulation.mutations.registry import MUTATIONS, Mutation

__all__ = [
    "MUTATIONS",
    "Mutation",
    "customers",
    "followers",
    "messaging",
    "orders",
    "payments",
    "vehicles",
]
