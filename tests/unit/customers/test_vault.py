"""Sealed personal data can be opened only in its own row, and digests differ between tenants."""

from dataclasses import asdict, replace
from typing import Any
from uuid import UUID, uuid4

from libs.runtime.crypto import BlindIndex, Cipher
from services.customers.domain.personal_data import PersonalData
from services.customers.infrastructure.vault import Vault
from tests.unit.customers.memory import ANA

VAULT = Vault(Cipher({"k1": bytes(32)}, "k1"), BlindIndex(bytes(32)))


def stored(customer_id: UUID) -> dict[str, Any]:
    return {"id": customer_id, **VAULT.seal("default", customer_id, ANA)}


def test_a_sealed_value_opens_in_its_own_row() -> None:
    assert VAULT.open(stored(uuid4())) == ANA  # type: ignore[arg-type]


def test_no_column_holds_a_value_as_it_is() -> None:
    columns = stored(uuid4())
    plain = [value.encode() for value in asdict(ANA).values()]
    assert not any(value in column for column in list(columns.values())[1:] for value in plain)


def test_values_copied_to_another_customer_do_not_open() -> None:
    ana, other = stored(uuid4()), stored(uuid4())
    copied = VAULT.open({**other, "document": ana["document"]})  # type: ignore[arg-type]
    assert copied == replace(ANA, document=None)
    moved = VAULT.open({**ana, "id": other["id"]})  # type: ignore[arg-type]
    assert moved == PersonalData(name=None, email=None, phone=None, document=None)
    # A value that may become readable again would be lost, so nothing is sealed again.
    assert VAULT.seal("default", other["id"], moved) == {}


def test_the_digest_of_a_document_is_another_in_each_tenant_and_column() -> None:
    digests = {
        VAULT.document_index("default", "x"),
        VAULT.document_index("other", "x"),
        VAULT.email_index("default", "x"),
    }
    assert len(digests) == 3
