"""Reads the canvas of a service, which is the README in its folder."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
SERVICES = ROOT / "services"


def canvas_of(service: str) -> str:
    return (SERVICES / service / "README.md").read_text(encoding="utf-8")


def section(service: str, title: str) -> str:
    """The text below the heading that begins so, up to the next heading."""
    rest = canvas_of(service).split(f"## {title}", 1)[1]
    return re.split(r"^## ", rest, maxsplit=1, flags=re.MULTILINE)[0]


def first_column(text: str) -> list[str]:
    """The first cell of each row of the tables in a text, without its backquotes."""
    return re.findall(r"^\| `([^`]+)` \|", text, flags=re.MULTILINE)


def events(service: str, way: str) -> set[str]:
    """The events below `Events in` or `Events out`, which is a heading or begins a paragraph."""
    parts = re.split(r"^(## .*|\*\*Events (?:in|out)\*\*)", canvas_of(service), flags=re.MULTILINE)
    titled = zip(parts[1::2], parts[2::2], strict=True)
    return {
        event for title, text in titled if f"Events {way}" in title for event in first_column(text)
    }
