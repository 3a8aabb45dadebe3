"""The portal closes its connections to other servers when it ends."""

from urllib.parse import urlsplit

import psutil

from tests.fixtures.polling import eventually
from tests.fixtures.servers import RabbitMQServer
from tests.integration.portal.conftest import AddUser, Serve, signed_in


async def test_no_connection_to_the_broker_is_left_when_the_portal_has_ended(
    serve: Serve, add_user: AddUser, rabbitmq_server: RabbitMQServer
) -> None:
    port = urlsplit(rabbitmq_server.management_url).port

    def connections() -> list[object]:
        opened = psutil.Process().net_connections("tcp")
        return [each for each in opened if each.raddr and each.raddr.port == port]

    before = len(connections())
    async with serve(rabbitmq_management_url=rabbitmq_server.management_url) as portal:
        await add_user("operator")
        await signed_in(portal, "operator@example.com")
        assert (await portal.get("/operations")).is_success
        assert len(connections()) == before + 1

    async def all_closed() -> bool:
        return len(connections()) == before

    await eventually(all_closed)
