"""This module describes a participant's code as data.

It looks at attributes only and imports nothing of this library. So it describes the code of another
revision too, which knows nothing of this module:

    python -P description.py MODULE:FUNCTION …
"""

import json
import sys
from dataclasses import fields
from functools import cache
from importlib import import_module
from typing import Any, get_type_hints

from pydantic import TypeAdapter

Json = dict[str, Any]


def described(participant: Any) -> Json:
    """Return one participant as `DescribedParticipant` reads it.

    `direction` and `extensions` are None where the code of an older revision does not tell them.
    """
    unconsumed = _first(participant, "unconsumed", "final")
    return {
        "name": participant.name,
        "publishes": [_published(event, unconsumed) for event in participant.publishes],
        "consumes": [_consumed(each) for each in participant.reactions.by_event.values()],
    }


def _published(event: Any, unconsumed: frozenset[str]) -> Json:
    hints = get_type_hints(event)
    names = [field.name for field in fields(event) if field.name != "sequence"]
    direction = getattr(event, "direction", None)
    return {
        "type": event.type,
        "direction": direction and direction.value,
        "unconsumed": event.type in unconsumed,
        "correlated": _is_correlated(event),
        "extensions": _names(getattr(event, "extensions", None)),
        "fields": {name: {"type": json_type(hints[name]), "required": True} for name in names},
    }


def _is_correlated(event: Any) -> bool:
    """Return whether the event names its business process: the base of all events does not."""
    found = getattr(getattr(event, "correlation_id", None), "fget", None)
    return found is not None and not found.__qualname__.startswith("DomainEvent.")


def _consumed(reaction: Any) -> Json:
    model = _first(reaction, "data_model", "view")
    return {
        "event_type": reaction.event_type,
        "queue": reaction.queue,
        "step": reaction.step.value,
        "compensated_by": list(reaction.compensated_by),
        "irrevocable": reaction.irrevocable,
        "batch_delay": _first(reaction, "batch_delay", "linger"),
        "kept": getattr(reaction, "kept", False),
        "does": getattr(reaction, "does", None) or _named_by(reaction.handler),
        "extensions": _names(getattr(reaction, "extensions", None)),
        "keeps_all": model.model_config.get("extra") == "allow",
        "fields": {
            field.alias or name: {
                "type": json_type(field.annotation),
                "required": field.is_required(),
            }
            for name, field in model.model_fields.items()
        },
    }


def _named_by(handler: Any) -> str:
    """Return what a reaction of an older revision does, from its handler's name."""
    return str(handler.__name__).partition("_when_")[0].replace("_", " ")


def _first(described: Any, *names: str) -> Any:
    """Return the first of these attributes that is there: the later ones are of older revisions."""
    return next(getattr(described, name) for name in names if hasattr(described, name))


def _names(found: Any) -> list[str] | None:
    return None if found is None else list(found)


@cache
def json_type(hint: Any) -> str:
    """Return the JSON type of a Python type: `integer | null`, `array of string`."""
    schema = TypeAdapter(hint).json_schema()
    return _type_of(schema, schema.get("$defs", {}))


def _type_of(schema: Json, definitions: Json) -> str:
    if "$ref" in schema:
        return _type_of(definitions[schema["$ref"].rpartition("/")[2]], definitions)
    if "anyOf" in schema:
        return " | ".join(_type_of(each, definitions) for each in schema["anyOf"])
    kind = str(schema.get("type", "any"))
    if kind == "array":
        return f"array of {_type_of(schema.get('items', {}), definitions)}"
    return f"{kind} ({schema['format']})" if "format" in schema else kind


def _loaded(name: str) -> Any:
    module, _, function = name.partition(":")
    return getattr(import_module(module), function)()


if __name__ == "__main__":
    json.dump([described(_loaded(name)) for name in sys.argv[1:]], sys.stdout)
