"""Personal data as it is stored: sealed, with blind indexes to find it again."""

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
        """The values of the columns, under a data key made anew with each write."""
        data_key = self._keys.create(f"customers.data_key:{customer_id}")
        cipher = self._keys.open(data_key, f"customers.data_key:{customer_id}")
        sealed = {
            name: cipher.encrypt(
                getattr(personal, name).encode(), f"customers.{name}:{customer_id}"
            )
            for name in SEALED
        }
        return {
            **sealed,
            "data_key": data_key,
            "document_index": self.document_index(tenant_id, personal.document),
            "email_index": self.email_index(tenant_id, personal.email),
        }

    def open(self, row: RowMapping) -> PersonalData | None:
        """None where the data was erased. Raises CannotDecrypt."""
        if row["data_key"] is None:
            return None
        cipher = self._keys.open(row["data_key"], f"customers.data_key:{row['id']}")
        return PersonalData(
            **{
                name: cipher.decrypt(row[name], f"customers.{name}:{row['id']}").decode()
                for name in SEALED
            }
        )

    def document_index(self, tenant_id: str, document: str) -> bytes:
        return self._index.of(document, tenant_id, "customers.document")

    def email_index(self, tenant_id: str, email: str) -> bytes:
        return self._index.of(email, tenant_id, "customers.email")
