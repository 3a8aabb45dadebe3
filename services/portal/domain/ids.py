"""Ids as people and other services write them."""

from uuid import UUID


def as_id(text: str) -> UUID | None:
    """None where the text is no id."""
    try:
        return UUID(text)
    except ValueError:
        return None
