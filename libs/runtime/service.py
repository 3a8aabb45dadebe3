"""A service's main.py describes what a process of the service runs, by its role."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from fastapi import APIRouter, FastAPI

from libs.messaging.outbox.unit_of_work import Transactions, UnitOfWork
from libs.messaging.saga.choreography import Choreography
from libs.messaging.saga.participant import Participant
from libs.messaging.schema.partitions import Maintain
from libs.messaging.schema.tables import MessagingTables
from libs.runtime.auth import Authenticator
from libs.runtime.data_keys import Sealed
from libs.runtime.loops import Loop
from libs.runtime.readiness import Check
from libs.runtime.replica import Replica
from libs.runtime.settings import ServiceSettings

Unit = TypeVar("Unit", bound=UnitOfWork)


@dataclass(frozen=True)
class Service(Generic[Unit]):
    """`description` and `tags`, with a sentence on each, are for the OpenAPI document. `install`
    adds to the application what is no router: mounts, handlers of its own errors, state. `closing`
    closes the service's own connections at its end. `unplaced` are paths that hold no place among
    the requests at work, such as static files; `streams` are those of event streams, which are
    counted apart. `own_partitions` keeps the partitions of its own tables, together with those of
    the library's tables. `sealed` are the columns whose keys are checked at the start. `api_checks`
    are asked by readiness where the process answers requests: what only they need. `headers` are
    those of every answer that says nothing else. `replica` is looked at where the process answers
    requests.
    """

    settings: ServiceSettings
    participant: Participant
    choreography: Choreography
    tables: MessagingTables
    transactions: Transactions[Unit]
    routers: Sequence[APIRouter]
    loops: Sequence[Loop] = ()
    authenticator: Authenticator | None = None
    closing: Sequence[Callable[[], Awaitable[None]]] = ()
    install: Callable[[FastAPI], None] = lambda _: None
    unplaced: Callable[[str], bool] = lambda _: False
    streams: Callable[[str], bool] = lambda _: False
    forms: bool = False
    own_partitions: Maintain | None = None
    sealed: Sealed | None = None
    api_checks: Mapping[str, Check] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    replica: Replica | None = None
    description: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
