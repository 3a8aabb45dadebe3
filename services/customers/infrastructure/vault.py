"""Personal data is stored sealed, with blind indexes by which it is found."""

from uuid import UUID

from sqlalchemy import RowMapping

from libs.runtime.crypto import BlindIndex, Cipher, DataKeys
from services.customers.domain.personal_data import PersonalData

SEALED = ("name", "email", "phone", "document")


class Vault:
    def __init__(self, master: Cipher, index: BlindIndex) -> None:
        self._keys = DataKeys(master)
        self._index = index

    def seal(self, tenant_id: str, customer_id: UUID, personal: PersonalData) -> dict[str, bytes]:
        """Return the values of the columns, sealed with a data key that is new for each write. They
        are empty where a value cannot be read, so that everything stays as it is stored.
        """
        clear: dict[str, str] = {
            name: value for name in SEALED if (value := getattr(personal, name)) is not None
        }
        if len(clear) < len(SEALED):
            return {}
        data_key = self._keys.create(f"customers.data_key:{customer_id}")
        cipher = self._keys.open(data_key, f"customers.data_key:{customer_id}")
        sealed = {
            name: cipher.encrypt(value.encode(), f"customers.{name}:{customer_id}")
            for name, value in clear.items()
        }
        return {
            **sealed,
            "data_key": data_key,
            "document_index": self.document_index(tenant_id, clear["document"]),
            "email_index": self.email_index(tenant_id, clear["email"]),
        }

    def open(self, row: RowMapping) -> PersonalData | None:
        """Return the data, or None where it was erased. A field is None where it cannot be read;
        all are where their data key cannot be read.
        """
        if row["data_key"] is None:
            return None
        cipher = self._keys.read(row["data_key"], _context("data_key", row))
        return PersonalData(
            **{
                name: None if cipher is None else cipher.read(row[name], _context(name, row))
                for name in SEALED
            }
        )

    def finds(self, row: RowMapping) -> bool | None:
        """Return whether the current key finds the row; None where its document is unreadable."""
        personal = self.open(row)
        if personal is None or personal.document is None:
            return None
        index = self.document_index(row["tenant_id"], personal.document)
        return index == bytes(row["document_index"])

    def document_index(self, tenant_id: str, document: str) -> bytes:
        return self._index.of(document, tenant_id, "customers.document")

    def email_index(self, tenant_id: str, email: str) -> bytes:
        return self._index.of(email, tenant_id, "customers.email")


def _context(column: str, row: RowMapping) -> str:
    return f"customers.{column}:{row['id']}"
