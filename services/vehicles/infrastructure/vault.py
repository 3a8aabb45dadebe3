"""Papers are stored sealed, each with a keyed index that keeps it unique."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import Row, RowMapping

from libs.runtime.crypto import BlindIndex, Cipher
from services.vehicles.domain.papers import Papers
from services.vehicles.infrastructure.tables import PAPERS


@dataclass(frozen=True)
class Vault:
    cipher: Cipher
    index: BlindIndex

    def seal(self, papers: Papers, tenant_id: str, vehicle_id: UUID) -> dict[str, bytes]:
        """Return the values of the six columns, without those of a paper that cannot be read, which
        do not change. A plate is indexed in its Mercosul form, so that both spellings are one
        plate. An index value belongs to one tenant and one column.
        """
        unique = {
            "plate": papers.unique_plate,
            "chassis_number": papers.chassis_number,
            "renavam": papers.renavam,
        }
        columns = {}
        for paper in PAPERS:
            clear, indexed = getattr(papers, paper), unique[paper]
            if clear is not None and indexed is not None:
                columns[paper] = self.cipher.encrypt(clear.encode(), _context(paper, vehicle_id))
                columns[f"{paper}_index"] = self.index.of(indexed, tenant_id, paper)
        return columns

    def plate_index(self, tenant_id: str, plate: str) -> bytes:
        """Return the index of a plate that is in its Mercosul form."""
        return self.index.of(plate, tenant_id, "plate")

    def open(self, row: Row[Any]) -> Papers:
        """Return the papers. One is None where it cannot be read: the key is missing, the value is
        damaged, or it is another row's.
        """
        return Papers(
            **{
                paper: self.cipher.read(getattr(row, paper), _context(paper, row.id))
                for paper in PAPERS
            }
        )

    def finds(self, row: RowMapping) -> bool | None:
        """Return whether the current key finds the row; None where its RENAVAM is unreadable."""
        renavam = self.cipher.read(row["renavam"], _context("renavam", row["id"]))
        if renavam is None:
            return None
        return self.index.of(renavam, row["tenant_id"], "renavam") == bytes(row["renavam_index"])


def _context(paper: str, vehicle_id: UUID) -> str:
    return f"vehicles.{paper}:{vehicle_id}"
