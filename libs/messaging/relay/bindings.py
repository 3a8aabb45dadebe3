"""While a service runs, every binding of its events is checked. The relay itself checks exchange
and queues; AMQP cannot read bindings. An event whose binding is gone is confirmed all the same when
another queue takes it, or when its type is unconsumed. So this asks the management API.
"""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from contextlib import suppress
from urllib.parse import quote

import httpx

from libs.messaging.broker_url import BrokerUrl, parse_management_url, vhost_of
from libs.messaging.supervision import Supervisor

log = logging.getLogger(__name__)

EVERY_SECONDS = 30.0
TIMEOUT_SECONDS = 10.0


class BindingWatch:
    """`management_url` holds user and password; the user needs the tag `management` and rights in
    the vhost of `rabbitmq_url`. `expected_queues` names the queues of each event type.

    A management API that does not answer is logged and makes nothing unready: events flow
    without it.
    """

    def __init__(
        self,
        service: str,
        *,
        management_url: BrokerUrl,
        rabbitmq_url: str,
        expected_queues: Mapping[str, Sequence[str]],
        every: float = EVERY_SECONDS,
    ) -> None:
        place = f"{quote(vhost_of(rabbitmq_url), safe='')}/{quote(service, safe='')}"
        self.missing: list[str] = []
        self._service = service
        self._management = management_url
        self._path = f"/api/exchanges/{place}/bindings/source"
        self._expected = {
            (kind, queue) for kind in expected_queues for queue in expected_queues[kind]
        }
        self._every = every
        self._supervisor = Supervisor(f"{service} bindings", expected=(httpx.HTTPError, OSError))

    async def ready(self) -> bool:
        """Return False while a binding is missing."""
        return not self.missing

    async def start(self) -> None:
        self._supervisor.start("look", self._step)

    async def stop(self) -> None:
        await self._supervisor.stop(within=1.0)

    async def look(self) -> None:
        """Refresh `missing`. Raises httpx.HTTPError, or OSError of the URL's `cafile`."""
        url = self._management
        management = parse_management_url(url if isinstance(url, str) else url())
        # A proxy of the machine's environment does not lead to the broker.
        async with httpx.AsyncClient(
            verify=management.trusted(), timeout=TIMEOUT_SECONDS, trust_env=False
        ) as http:
            answer = (await http.get(f"{management.url}{self._path}")).raise_for_status()
        bound = {(row["routing_key"], row["destination"]) for row in answer.json()}
        before = self.missing
        self.missing = [
            f"queue {queue} is not bound to {self._service} by {kind}"
            for kind, queue in sorted(self._expected - bound)
        ]
        for sentence in set(self.missing) - set(before):
            log.error("%s: run topology apply, then topology replay of that queue", sentence)

    async def _step(self) -> None:
        await self.look()
        with suppress(TimeoutError):
            async with asyncio.timeout(self._every):
                await self._supervisor.stopping.wait()
