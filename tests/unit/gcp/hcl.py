"""Reads Terraform's text as resources with their arguments, and what the google provider accepts.

`google_arguments.json` names the arguments and blocks of the resources that are used here, as the
provider's release 6.50 has them; `!` marks those that it demands.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest

hcl2 = pytest.importorskip("hcl2", reason="python-hcl2 is not installed: run ./taskw setup")

ARGUMENTS: Mapping[str, Any] = json.loads(
    Path(__file__).with_name("google_arguments.json").read_text()
)["resources"]
OF_TERRAFORM = {"count", "for_each", "depends_on", "lifecycle", "provider"}


@dataclass(frozen=True)
class Resource:
    """`body` has literal texts in quotes, expressions as `${…}`, and blocks as lists."""

    type: str
    name: str
    body: Mapping[str, Any]

    def __str__(self) -> str:
        return f"{self.type}.{self.name}"

    def text(self, path: str) -> str:
        """Return the argument below the blocks that `path` names with dots, else ""."""
        found: Any = self.body
        for part in path.split("."):
            found = found[0] if isinstance(found, list) else found
            found = found.get(part, "") if isinstance(found, Mapping) else ""
        return str(found).strip('"')


def resources(texts: Mapping[str, str]) -> list[Resource]:
    """Return the resources of all files. `texts` are the files by name."""
    return [each for text in texts.values() for each in _of_text(text)]


@cache  # each test reads most texts, and reading them takes a tenth of a second
def _of_text(text: str) -> list[Resource]:
    return [
        Resource(kind.strip('"'), name.strip('"'), body)
        for block in hcl2.loads(text).get("resource", ())
        for kind, named in block.items()
        for name, body in named.items()
    ]


def unknown_arguments(resource: Resource) -> Iterator[str]:
    """Yield what the provider does not know or misses, with the path to it."""
    known = ARGUMENTS.get(resource.type)
    if known is None:
        yield f"{resource}: not a resource whose arguments are known"
        return
    body = {name: value for name, value in resource.body.items() if name not in OF_TERRAFORM}
    yield from _unknown(body, known, str(resource))


def _unknown(body: Mapping[str, Any], known: Mapping[str, Any], way: str) -> Iterator[str]:
    names = {name.rstrip("!"): inside for name, inside in known.items()}
    given = {name for name in body if not name.startswith("__")} - {"dynamic"}
    dynamic = [
        (name.strip('"'), inside["content"][0])
        for block in body.get("dynamic", ())
        for name, inside in block.items()
        if not name.startswith("__")
    ]
    for name in sorted((given | {name for name, _ in dynamic}) - set(names)):
        yield f"{way}.{name}: the provider does not know it"
    for name in sorted(name.rstrip("!") for name in known if name.endswith("!")):
        if name not in given and name not in {each for each, _ in dynamic}:
            yield f"{way}.{name}: the provider demands it"
    blocks = [(name, each) for name in given for each in _blocks(body[name])]
    for name, inside in [*blocks, *dynamic]:
        if names.get(name):
            yield from _unknown(inside, names[name], f"{way}.{name}")


def _blocks(value: Any) -> list[Mapping[str, Any]]:
    if not isinstance(value, list):
        return []
    return [each for each in value if isinstance(each, Mapping) and "__is_block__" in each]
