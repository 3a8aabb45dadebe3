"""AsyncAPI documents are made from participants."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar
from uuid import UUID

from libs.messaging.envelope import EventData
from libs.messaging.saga import asyncapi
from libs.messaging.saga.choreography import choreography_of
from libs.messaging.saga.participant import Participant
from libs.messaging.saga.reactions import Reactions
from services.events import MarketEvent, PurchaseEvent


@dataclass(frozen=True, kw_only=True)
class Placed(PurchaseEvent):
    """The buyer said yes, and the order waits
    for its credit.

    `total_cents` is what the buyer saw.
    """

    type: ClassVar[str] = "order.placed.v1"
    total_cents: int


class Purchase(EventData):
    order_id: UUID


async def reserve_credit_when_order_placed(*_: object) -> None: ...


def orders() -> Participant:
    return Participant("orders", (Placed,), Reactions("orders"))


def listener(name: str, view: type[EventData]) -> Participant:
    on = Reactions[Any](name)
    on.view("order.placed.v1", view)(reserve_credit_when_order_placed)
    return Participant(name, (), on)


def speaker(*words: str) -> Participant:
    events = [type(word.capitalize(), (Placed,), {"type": f"{word}.said.v1"}) for word in words]
    return Participant("speaker", tuple(events), Reactions("speaker"))


def credit() -> Participant:
    return listener("credit", Purchase)


def test_a_service_says_what_it_sends_with_every_field_of_the_envelope() -> None:
    document = asyncapi.document(orders(), choreography_of([orders()]))
    assert document["asyncapi"].startswith("3.")
    assert (
        document["channels"]["order.placed.v1"]["bindings"]["amqp"]["exchange"]["name"] == "orders"
    )
    schemas = document["components"]["schemas"]
    assert set(schemas["PlacedData"]["required"]) == {"tenant_id", "order_id", "total_cents"}
    assert {"id", "source", "type", "subject", "time", "data"} <= set(schemas["Placed"]["required"])
    assert schemas["Placed"]["properties"]["type"]["const"] == "order.placed.v1"


def test_an_event_is_described_by_the_whole_first_paragraph_of_its_docstring() -> None:
    document = asyncapi.document(orders(), choreography_of([orders()]))
    channel = document["channels"]["order.placed.v1"]
    assert channel["description"] == "The buyer said yes, and the order waits for its credit."


def test_a_service_says_what_it_receives_as_its_own_view_of_it() -> None:
    document = asyncapi.document(credit(), choreography_of([orders(), credit()]))
    queue = document["channels"]["credit.on.order.placed.v1"]["bindings"]["amqp"]["queue"]
    assert queue["name"] == "credit.on.order.placed.v1"
    assert document["operations"]["credit.on.order.placed.v1"]["action"] == "receive"
    assert set(document["components"]["schemas"]["CreditPurchase"]["properties"]) == {"order_id"}


def test_views_of_one_name_in_two_services_stay_apart_where_documents_are_bundled() -> None:
    class Wider(EventData):
        order_id: UUID
        total_cents: int

    Wider.__name__ = "Purchase"
    documents = asyncapi.documents([orders(), credit(), listener("stock", Wider)])
    schemas = documents["credit"]["components"]["schemas"]
    assert "StockPurchase" not in schemas
    schemas |= documents["stock"]["components"]["schemas"]
    assert set(schemas["CreditPurchase"]["properties"]) == {"order_id"}
    assert set(schemas["StockPurchase"]["properties"]) == {"order_id", "total_cents"}


def test_the_same_participants_give_the_same_documents_every_time() -> None:
    participants = [speaker("one", "two", "three"), orders()]
    first = json.dumps(asyncapi.documents(participants))
    for _ in range(10):
        assert json.dumps(asyncapi.documents(participants)) == first


def test_the_files_are_one_per_service_and_one_for_the_system(tmp_path: Path) -> None:
    files = asyncapi.files([orders(), credit()], tmp_path)
    assert {path.name for path in files} == {"orders.json", "credit.json", "system.json"}
    assert files == asyncapi.files([orders(), credit()], tmp_path)
    assert json.loads(files[tmp_path / "system.json"])["info"]["title"] == "system"


def test_the_system_document_refers_to_the_channels_and_operations_of_all_services() -> None:
    documents = asyncapi.documents([orders(), credit()])
    system = documents.pop("system")
    for part in ("channels", "operations"):
        assert system[part] == {
            key: {"$ref": f"{name}.json#/{part}/{key}"}
            for name, document in documents.items()
            for key in document[part]
        }
        assert set(system[part]) == {"order.placed.v1", "credit.on.order.placed.v1"}
    assert system["servers"] == documents["orders"]["servers"]


def test_a_message_is_a_cloud_event_whose_correlation_is_in_its_body() -> None:
    documents = asyncapi.documents([orders(), credit()], vhost="market")
    for name in ("orders", "credit"):
        (message,) = documents[name]["components"]["messages"].values()
        assert message["contentType"] == "application/cloudevents+json"
        assert message["correlationId"]["location"] == "$message.payload#/correlationid"
    for document in documents.values():
        assert document["defaultContentType"] == "application/cloudevents+json"
        assert document["servers"]["development"]["pathname"] == "/market"
    channel = documents["orders"]["channels"]["order.placed.v1"]["bindings"]["amqp"]["exchange"]
    assert channel["vhost"] == "market"


def test_a_message_outside_any_process_has_no_correlation() -> None:
    @dataclass(frozen=True, kw_only=True)
    class Listed(MarketEvent):
        type: ClassVar[str] = "vehicle.listed.v1"
        vehicle_id: UUID

    listing = Participant("vehicles", (Listed,), Reactions("vehicles"))
    document = asyncapi.document(listing, choreography_of([listing]))
    (message,) = document["components"]["messages"].values()
    assert "correlationId" not in message


def test_the_order_of_events_is_text_on_the_wire() -> None:
    documents = asyncapi.documents([orders(), credit()])
    for name, schema in {"orders": "Placed", "credit": "CreditOnOrderPlacedV1"}.items():
        described = documents[name]["components"]["schemas"][schema]
        assert described["properties"]["sequence"]["type"] == "string"
