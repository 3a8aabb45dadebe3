"""Locking is optimistic: `If-Match` carries the version the caller acted on (RFC 9110, 13.1.1)."""

import re
from typing import Annotated

from fastapi import Depends, Header

from libs.kernel.errors import StaleVersion
from libs.runtime.declared import refuses
from libs.runtime.problems import BadRequest, Refusal

_VERSION = re.compile(r'"?(\d{1,18})"?')
VERSION = r'^(\d{1,18}|"\d{1,18}")$'
_ENTITY_TAG = re.compile(r'(W/)?"[\x21\x23-\x7e\x80-\xff]*"')


class MalformedVersion(BadRequest):
    text = 'If-Match must be one version, as in If-Match: "1".'

    def __init__(self) -> None:
        super().__init__(field="If-Match")


class UnknownVersion(StaleVersion):
    text = "If-Match names no version of this object."

    def __init__(self) -> None:
        super().__init__(field="If-Match")


class PreconditionRequired(Refusal):
    status = 428
    code = "precondition-required"
    text = "If-Match with the version that was read is required."

    def __init__(self) -> None:
        super().__init__(field="If-Match")


def etag(version: int) -> str:
    return f'"{version}"'


def parse_if_match(value: str) -> int:
    """Return the version: `1` and `"1"` are version 1. A weak tag, or one that was never given out,
    matches nothing: 412.

    `*` and lists name no single version: 400, as anything malformed.
    """
    value = value.strip()
    match = _VERSION.fullmatch(value)
    if match and value.count('"') != 1:
        return int(match[1])
    if _ENTITY_TAG.fullmatch(value):
        raise UnknownVersion
    raise MalformedVersion


@refuses(400, 412)
def _optional(
    if_match: Annotated[
        str | None,
        Header(description='The version read, as in `"1"`', json_schema_extra={"pattern": VERSION}),
    ] = None,
) -> int | None:
    return None if if_match is None else parse_if_match(if_match)


@refuses(428, without="if-match")
def _required(version: Annotated[int | None, Depends(_optional)]) -> int:
    if version is None:
        raise PreconditionRequired
    return version


OptionalIfMatchDep = Annotated[int | None, Depends(_optional)]
IfMatchDep = Annotated[int, Depends(_required)]
