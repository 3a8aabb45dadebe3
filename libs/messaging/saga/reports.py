"""A report shows the changes as text, as JSON, or as SARIF 2.1.0 for code review tools."""

import json
from collections.abc import Sequence
from enum import Enum
from typing import Any

from libs.messaging.saga.diff import Change, Kind

Json = dict[str, Any]

SARIF_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"


class Format(Enum):
    TEXT = "text"
    JSON = "json"
    SARIF = "sarif"


def report(changes: Sequence[Change], base: str, document: str, form: Format) -> str:
    """Return the report. `base` is the revision compared with; `document` is where the choreography
    is written, as a path seen from the root of the repository.
    """
    if form is Format.TEXT:
        return _text(changes, base)
    content = _json(changes, base) if form is Format.JSON else _sarif(changes, base, document)
    return json.dumps(content, indent=2, ensure_ascii=False)


def consequence(change: Change) -> str:
    """Say whom the change hurts, in a sentence."""
    sentences = []
    if change.hurts_old:
        sentences.append(
            f"old processes of {', '.join(change.hurts_old)} cannot work with new ones"
        )
    if change.hurts_new:
        sentences.append(
            f"new processes of {', '.join(change.hurts_new)} cannot work with old ones"
        )
    return "; ".join(sentences) or "old and new may run side by side"


def _text(changes: Sequence[Change], base: str) -> str:
    lines = []
    for change in changes:
        mark = "ok      " if change.side_by_side else "BREAKING"
        lines.append(f"{mark}  {change.text}")
        if not change.side_by_side:
            lines.append(f"          {consequence(change)}")
    breaking = sum(not change.side_by_side for change in changes)
    lines.append(f"{len(changes)} changes since {base}, {breaking} of them breaking")
    return "\n".join(lines)


def _json(changes: Sequence[Change], base: str) -> Json:
    return {
        "base": base,
        "side_by_side": all(change.side_by_side for change in changes),
        "changes": [
            {
                "kind": change.kind.value,
                "participant": change.participant,
                "subject": change.subject,
                "text": change.text,
                "side_by_side": change.side_by_side,
                "hurts": {"old": list(change.hurts_old), "new": list(change.hurts_new)},
            }
            for change in changes
        ],
    }


def _sarif(changes: Sequence[Change], base: str, document: str) -> Json:
    kinds = [kind.value for kind in Kind]
    return {
        "$schema": SARIF_SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {
                    "driver": {
                        "name": "choreography diff",
                        "rules": [
                            {"id": kind, "shortDescription": {"text": kind.replace("-", " ")}}
                            for kind in kinds
                        ],
                    }
                },
                "properties": {"base": base},
                "results": [_result(change, kinds, document) for change in changes],
            }
        ],
    }


def _result(change: Change, kinds: Sequence[str], document: str) -> Json:
    return {
        "ruleId": change.kind.value,
        "ruleIndex": kinds.index(change.kind.value),
        "level": "note" if change.side_by_side else "error",
        "message": {"text": f"{change.text}: {consequence(change)}"},
        "locations": [
            {
                "physicalLocation": {"artifactLocation": {"uri": document}},
                "logicalLocations": [
                    {"fullyQualifiedName": f"{change.participant}/{change.subject}"}
                ],
            }
        ],
    }
