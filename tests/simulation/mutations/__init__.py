"""Breaks rules of the services on purpose, one at a time. The simulation must find each.

Each mutation is a context manager: the rule is broken only inside its block.
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
