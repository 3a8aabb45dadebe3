"""Lists are read page by page, the newest first."""

from typing import Any

from sqlalchemy import ColumnElement, Select


def newest_first(
    query: Select[Any], key: ColumnElement[Any], after: object, limit: int
) -> Select[Any]:
    """Select at most `limit` rows after the key `after`. None begins at the newest."""
    page = query.order_by(key.desc()).limit(limit)
    return page if after is None else page.where(key < after)
