"""Reads the samples of published events, one of each type: `tests/contracts/SERVICE/TYPE.json`."""

import json
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from pydantic import TypeAdapter, ValidationError

from libs.kernel.events import DomainEvent
from libs.messaging.envelope import encode

FOLDER = Path(__file__).parent


def sample_of(event_type: str) -> Path:
    """Return the only sample of a type. Its folder is named after the publisher."""
    found = [each for each in FOLDER.glob(f"*/{event_type}.json") if each.parent.name != "released"]
    assert len(found) == 1, (
        f"{event_type} needs one sample, and has {len(found)}: its publisher's is"
        f" tests/contracts/SERVICE/{event_type}.json"
    )
    return found[0]


def read_sample(event_type: str) -> dict[str, Any]:
    sample: dict[str, Any] = json.loads(sample_of(event_type).read_bytes())
    return sample


def written_today(event_type: type[DomainEvent], sample: dict[str, Any]) -> dict[str, Any]:
    """Return the message with a sample's values as today's code writes it."""
    fields = {**sample["data"], "sequence": sample["sequence"]}
    try:
        event = TypeAdapter(event_type).validate_python(fields)
    except ValidationError as error:
        wrong = ", ".join(f"{each['loc'][-1]}: {each['msg']}" for each in error.errors())
        raise AssertionError(
            f"{event_type.type} is not what its sample shows ({wrong}): a new field has a default,"
            " and any other change is a new version of the event"
        ) from None
    message: dict[str, Any] = json.loads(
        encode(
            event,
            event_id=UUID(sample["id"]),
            source=sample["source"],
            time=datetime.fromisoformat(sample["time"]),
            cause=sample.get("causationid"),  # no cause where a worker publishes later
            traceparent=sample["traceparent"],
        )
    )
    return message
