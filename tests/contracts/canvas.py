"""Reads the canvas of a service, which is the README in its folder."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
SERVICES = ROOT / "services"


def canvas_of(service: str) -> str:
    return (SERVICES / service / "README.md").read_text(encoding="utf-8")


def section(service: str, title: str) -> str:
    """Return the text below the heading that begins with `title`, up to the next heading."""
    rest = canvas_of(service).split(f"## {title}", 1)[1]
    return re.split(r"^## ", rest, maxsplit=1, flags=re.MULTILINE)[0]


def first_column(text: str) -> list[str]:
    """Return the first cell of each row of the tables in a text, without its backquotes."""
    return re.findall(r"^\| `([^`]+)` \|", text, flags=re.MULTILINE)


def events(service: str, way: str) -> set[str]:
    """Return the events below `Events in` or `Events out`, as a heading or in a paragraph."""
    parts = re.split(r"^(## .*|\*\*Events (?:in|out)\*\*)", canvas_of(service), flags=re.MULTILINE)
    titled = zip(parts[1::2], parts[2::2], strict=True)
    return {
        event for title, text in titled if f"Events {way}" in title for event in first_column(text)
    }
