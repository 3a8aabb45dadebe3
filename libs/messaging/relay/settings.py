"""A relay has these settings."""

from dataclasses import dataclass, field

from libs.messaging.relay.claims import Limits


@dataclass(frozen=True)
class RelaySettings:
    """Times are in seconds. `pace` is the least time between claims, so that under load one claim
    takes what was committed meanwhile. `rarely` is the interval at which the relay checks its
    queues while all of them are there.
    """

    limits: Limits = field(default_factory=Limits)
    claimers: int = 2
    pace: float = 0.005
    poll: float = 1.0
    publish_timeout: float = 5.0
    backoff: float = 0.5
    backoff_most: float = 30.0
    flush: float = 2.0
    sweep: float = 1.0
    rarely: float = 60.0
    statement_cache: int = 100
    """It is 0 behind a PgBouncer in transaction mode."""
