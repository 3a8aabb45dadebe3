"""What clients send and get."""

from datetime import datetime
from typing import Annotated, Any, Self
from uuid import UUID

from pydantic import Field, field_validator, model_validator

from libs.runtime.schemas import Body, Cents, Out
from services.customers.domain.customer import Customer
from services.customers.domain.personal_data import (
    PersonalData,
    normal_document,
    normal_email,
    normal_name,
    normal_phone,
)

Text = Annotated[str, Field(max_length=254)]


class OwnCustomerIn(Body):
    """Name, e-mail, phone, and the document: CPF or CNPJ, with or without punctuation."""

    name: Text
    email: Text
    phone: Text
    document: Text

    def personal(self) -> PersonalData:
        """In normal form. Raises InvalidPersonalData."""
        return PersonalData(
            name=normal_name(self.name),
            email=normal_email(self.email),
            phone=normal_phone(self.phone),
            document=normal_document(self.document),
        )


class CustomerIn(OwnCustomerIn):
    credit_limit_cents: Cents = 0


class CustomerChanges(Body):
    """What changes; a field left out stays as it is."""

    name: Text | None = None
    email: Text | None = None
    phone: Text | None = None

    @field_validator("*")
    @classmethod
    def _not_null(cls, value: Any) -> Any:
        if value is None:
            raise ValueError("must not be null")
        return value

    def normal(self) -> dict[str, str]:
        """Raises InvalidPersonalData."""
        forms = {"name": normal_name, "email": normal_email, "phone": normal_phone}
        return {
            name: forms[name](value) for name, value in self.model_dump(exclude_unset=True).items()
        }


class CreditLimitIn(Body):
    limit_cents: Cents


class CustomerSearch(Body):
    """Exactly one of both. In a body and not in the address, which ends up in logs."""

    document: Text | None = None
    email: Text | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.document is None) == (self.email is None):
            raise ValueError("give either a document or an email")
        return self


class CustomerOut(Out):
    """Personal data is masked unless asked for in full by an admin. It is null where what is stored
    of it cannot be read.
    """

    id: UUID
    name: str | None
    email: str | None
    phone: str | None
    document: str | None
    credit_limit_cents: int
    available_cents: int
    reserved_cents: int
    consumed_cents: int
    version: int
    created_at: datetime
    updated_at: datetime

    @classmethod
    def of(cls, customer: Customer, *, full: bool = False) -> "CustomerOut":
        """Raises CustomerNotFound for an erased one."""
        personal = customer.present() if full else customer.present().masked()
        return cls(
            id=customer.id,
            name=personal.name,
            email=personal.email,
            phone=personal.phone,
            document=personal.document,
            credit_limit_cents=customer.credit.limit_cents,
            available_cents=customer.credit.available_cents,
            reserved_cents=customer.credit.reserved_cents,
            consumed_cents=customer.credit.consumed_cents,
            version=customer.version,
            created_at=customer.created_at,
            updated_at=customer.updated_at,
        )


class CustomersOut(Out):
    items: list[CustomerOut]


class CustomerPage(CustomersOut):
    """`next`: the cursor of the next page, null on the last one."""

    next: str | None
