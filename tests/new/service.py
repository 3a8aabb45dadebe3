"""Makes a new service: the skeleton, and the service's line in each list."""

import keyword
import re
from pathlib import Path
from string import Template

import yaml  # type: ignore[import-untyped]
from sqlalchemy.dialects.postgresql.base import RESERVED_WORDS

from deploy.services import SERVICES
from tests.new.places import KINDS
from tests.new.written import Changes, Refused, skeleton

LISTS = Path(__file__).parent / "lists.yaml"
NAME = re.compile(r"[a-z]{2,20}")
FOLDERS = ("services", *(f"tests/{kind}" for kind in KINDS))
FIRST_PORT = 8080
PUBLISHED = re.compile(r"_PORT:-(\d+)\}")


def service_changes(root: Path, name: str, port: int | None) -> Changes:
    """Return the changes. Raises Refused with the reason when the service cannot be written."""
    _check_name(root, name)
    chosen = _port(root, port)
    made = skeleton(root, name, Name=name.title(), port=chosen)
    for path in made:
        if path.exists():
            raise Refused(f"{path.relative_to(root)} exists already")
    changed: dict[Path, str] = {}
    for line in yaml.safe_load(LISTS.read_text()):
        path = root / line["file"]
        text = Template(line["text"]).substitute(
            name=name, Name=name.title(), NAME=name.upper(), port=chosen
        )
        there = changed[path] if path in changed else path.read_text()
        changed[path] = _inserted(there, text, line["before"], line["file"])
    return {**made, **changed}


def _check_name(root: Path, name: str) -> None:
    if not NAME.fullmatch(name):
        raise Refused(f"{name!r} is no name of a service: one word in lower case, such as loyalty")
    if keyword.iskeyword(name) or name in RESERVED_WORDS or name == "postgres":
        raise Refused(f"{name} means something to Python or to Postgres: choose another name")
    for place in FOLDERS:
        folder = root / place / name
        if folder.exists() or folder.with_suffix(".py").exists():
            raise Refused(f"{place}/{name} exists already")
    compose = yaml.safe_load((root / "compose.yaml").read_text())
    if name in {*compose["services"], *compose["volumes"]}:
        raise Refused(f"{name} is the name of a container or a volume in compose.yaml already")


def _port(root: Path, wanted: int | None) -> int:
    taken = {int(found) for found in PUBLISHED.findall((root / "compose.yaml").read_text())}
    taken |= {spec.port for spec in SERVICES}
    if wanted is None:
        return next(port for port in range(FIRST_PORT, 65536) if port not in taken)
    if wanted in taken:
        raise Refused(f"port {wanted} is taken: leave --port out for the next free one")
    if not 1024 <= wanted <= 65535:
        raise Refused(f"{wanted} is no port for a service: choose one from 1024 to 65535")
    return wanted


def _inserted(text: str, added: str, before: str, place: str) -> str:
    """Insert a line. Raises Refused unless its place is there exactly once."""
    if text.count(before) != 1:
        raise Refused(f"{place} has no one line that begins with {before.strip()!r}")
    return text.replace(before, added + before)
