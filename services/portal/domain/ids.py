"""People and other services write ids as texts."""

from uuid import UUID


def as_id(text: str) -> UUID | None:
    """Return the id, or None where the text is no id."""
    try:
        return UUID(text)
    except ValueError:
        return None
