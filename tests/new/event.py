"""Makes a new event: its class, its sample, its place in `publishes`."""

import ast
import dataclasses
import json
import re
from collections.abc import Iterator, Mapping
from importlib import import_module
from pathlib import Path
from string import Template
from typing import Any
from uuid import UUID

from deploy.services import SERVICES
from libs.kernel.events import DomainEvent
from services.events import PurchaseEvent
from tests.new.places import UNDESCRIBED, participant
from tests.new.written import Changes, Refused

TYPE = re.compile(r"([a-z][a-z_]*)\.([a-z][a-z_]*)\.v([1-9][0-9]*)")
PARTS = Path(__file__).parent / "published"
CLASS, SAMPLE = PARTS / "class.tmpl", PARTS / "sample.json"


def event_changes(root: Path, service: str, event_type: str) -> Changes:
    """Return the changes. Raises Refused with the reason when the event cannot be written."""
    parts = TYPE.fullmatch(event_type)
    if parts is None:
        raise Refused(f"{event_type!r} is no type of an event: write it as order.returned.v1")
    _check_new(service, event_type)
    folder = root / "services" / service
    sample = root / "tests" / "contracts" / service / f"{event_type}.json"
    events, consumers = folder / "domain" / "events.py", folder / "infrastructure" / "consumers.py"
    name = "".join(word.title() for part in parts.groups()[:2] for word in part.split("_"))
    name += "" if parts[3] == "1" else f"V{parts[3]}"
    if sample.exists() or re.search(rf"^class {name}\b", events.read_text(), re.MULTILINE):
        raise Refused(f"{service} has {name} or its sample already, and does not publish it")
    last = _last_event(service)
    base = PurchaseEvent if last is None else last.__mro__[1]
    data = _sample(sample.parent, service, event_type, last, base)
    of_a_purchase = _shown(root, event_type) if issubclass(base, PurchaseEvent) else {}
    return {
        **of_a_purchase,
        events: _with_class(events.read_text(), name, base, event_type),
        consumers: _published(consumers.read_text(), service, name),
        sample: json.dumps(data, indent=2) + "\n",
    }


def _shown(root: Path, event_type: str) -> Changes:
    """Let the portal consume the event, and name it after its type until it has a better name."""
    portal = root / "services" / "portal" / "infrastructure"
    consumers, wording = portal / "consumers.py", portal / "web" / "wording.py"
    name = event_type.rpartition(".v")[0]
    words = name.replace(".", " ").replace("_", " ").capitalize()
    return {
        consumers: _last_in(consumers.read_text(), "OF_A_PURCHASE", f'"{event_type}",'),
        wording: _last_in(wording.read_text(), "EVENTS", f'"{name}": marked("{words}"),'),
    }


def _last_in(text: str, constant: str, line: str) -> str:
    """Return the module with the line as the last of the tuple or dict of this name."""
    if line in text:
        return text
    [found] = [
        each.value
        for each in ast.parse(text).body
        if isinstance(each, ast.Assign) and ast.unparse(each.targets[0]) == constant
    ]
    lines = text.splitlines(keepends=True)
    end = (found.end_lineno or 0) - 1
    return "".join([*lines[:end], f"    {line}\n", *lines[end:]])


def _check_new(service: str, event_type: str) -> None:
    if service not in {spec.name for spec in SERVICES}:
        known = ", ".join(spec.name for spec in SERVICES)
        raise Refused(f"there is no service {service!r}: there are {known}")
    for spec in SERVICES:
        ours = participant(spec.name)
        if ours is not None and event_type in {each.type for each in ours.publishes}:
            raise Refused(f"{spec.name} publishes {event_type} already")


def _last_event(service: str) -> type[DomainEvent] | None:
    """Return the event that is defined last. A new event has its base, and so its fields."""
    module = import_module(f"services.{service}.domain.events")
    ours = participant(service)
    published = () if ours is None else ours.publishes
    defined = list(vars(module).values())
    return max(published, key=defined.index, default=None)


def _with_class(text: str, name: str, base: type, event_type: str) -> str:
    made = Template(CLASS.read_text()).substitute(
        Name=name, docstring=UNDESCRIBED, base=base.__name__, type=event_type
    )
    imports = [
        "from dataclasses import dataclass",
        "from typing import ClassVar",
        f"from {base.__module__} import {base.__name__}",
    ]
    if re.search(rf"^class {base.__name__}\b", text, re.MULTILINE):
        imports.pop()
    return _with_imports(text, imports) + made


def _published(text: str, service: str, name: str) -> str:
    """Return the module with the event's class as the last that its participant publishes."""
    [found] = [
        each.value
        for each in ast.walk(ast.parse(text))
        if isinstance(each, ast.keyword) and each.arg == "publishes"
    ]
    if not isinstance(found, ast.Tuple):
        raise Refused(f"publishes of {service} is no tuple: add {name} to it by hand")
    of_module = any(isinstance(each, ast.Attribute) for each in found.elts)
    written = [ast.unparse(each) for each in found.elts] + [f"events.{name}" if of_module else name]
    lines = text.splitlines(keepends=True)
    start = sum(map(len, lines[: found.lineno - 1])) + found.col_offset
    end = sum(map(len, lines[: (found.end_lineno or 0) - 1])) + (found.end_col_offset or 0)
    comma = "," if len(written) == 1 or "\n" in text[start:end] else ""
    text = f"{text[:start]}({', '.join(written)}{comma}){text[end:]}"
    if of_module:
        return text
    return _with_imports(text, [f"from services.{service}.domain.events import {name}"])


def _with_imports(text: str, imports: list[str]) -> str:
    """Put imports behind the docstring. The formatter orders them, and joins duplicates."""
    first, *_ = ast.parse(text).body
    lines = text.splitlines(keepends=True)
    added = [f"{line}\n" for line in imports if line not in text.splitlines()]
    end = first.end_lineno or 0
    return "".join([*lines[:end], "\n", *added, *lines[end:]])


def _sample(
    folder: Path, service: str, event_type: str, last: type[DomainEvent] | None, base: type
) -> Mapping[str, Any]:
    """Return a sample like that of the event that is defined last, with the fields of its base."""
    source = SAMPLE if last is None else folder / f"{last.type}.json"
    sample: dict[str, Any] = json.loads(source.read_text())
    fields = {field.name for field in dataclasses.fields(base)}
    sample["id"] = str(UUID(int=max(_ids(folder.parent)) + 1))
    sample["source"], sample["type"] = service, event_type
    sample["dataschema"] = f"{PurchaseEvent.schema_prefix}{event_type}"
    sample["data"] = {key: value for key, value in sample["data"].items() if key in fields}
    return sample


def _ids(folder: Path) -> Iterator[int]:
    for path in folder.glob("*/*.json"):
        yield UUID(json.loads(path.read_text())["id"]).int
