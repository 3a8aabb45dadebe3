"""The ledger has one JSON line for each erased customer, in a file outside the database."""

import asyncio
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from uuid import UUID

from libs.runtime.start_failure import StartFailure


@dataclass(frozen=True)
class Erasure:
    tenant_id: str
    customer_id: UUID
    erased_at: datetime


class FileErasureLedger:
    def __init__(self, path: Path) -> None:
        self._path = path

    async def record(self, tenant_id: str, customer_id: UUID, erased_at: datetime) -> None:
        line = {
            "tenant_id": tenant_id,
            "customer_id": str(customer_id),
            "erased_at": erased_at.isoformat(),
        }
        await asyncio.to_thread(self._append, json.dumps(line).encode() + b"\n")

    def entries(self) -> Iterator[Erasure]:
        """Yield the entries, oldest first. Raises StartFailure when the file is missing or a line
        is broken, because skipping an erasure would bring a person's data back.
        """
        try:
            with self._path.open(encoding="utf-8") as lines:
                for number, line in enumerate(lines, start=1):
                    yield _erasure(line, f"{self._path}, line {number}")
        except OSError as error:
            raise StartFailure(f"the erasure ledger {self._path}: {error.strerror}") from None

    def _append(self, line: bytes) -> None:
        """Append with one write to a file opened for appending, so that lines of several processes
        do not mix.
        """
        self._path.parent.mkdir(parents=True, exist_ok=True)
        file = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(file, line)
            os.fsync(file)
        finally:
            os.close(file)


def _erasure(line: str, place: str) -> Erasure:
    try:
        entry = json.loads(line)
        erased_at = datetime.fromisoformat(entry["erased_at"])
        return Erasure(entry["tenant_id"], UUID(entry["customer_id"]), erased_at)
    except (ValueError, KeyError, TypeError):
        raise StartFailure(f"{place}: not an erasure") from None
