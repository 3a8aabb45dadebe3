"""These are the bodies that clients send and get."""

from datetime import datetime
from typing import Annotated, Self
from uuid import UUID

from pydantic import Field, model_validator

from libs.kernel.errors import Invalid
from libs.runtime.field_errors import fault, rule
from libs.runtime.schemas import Body, Cents, Changes, Out
from services.customers.domain.customer import Customer
from services.customers.domain.personal_data import (
    PersonalData,
    normal_document,
    normal_email,
    normal_name,
    normal_phone,
)

Text = Annotated[str, Field(max_length=254)]
Name = Annotated[Text, rule(normal_name)]
Email = Annotated[Text, rule(normal_email)]
Phone = Annotated[Text, rule(normal_phone)]
Document = Annotated[Text, rule(normal_document)]


class DocumentOrEmail(Invalid):
    code = "document-or-email"
    text = "Give either a document or an e-mail."


class OwnCustomerIn(Body):
    """A customer's document is a CPF or CNPJ, with or without punctuation. All values are in normal
    form once they are read.
    """

    name: Name
    email: Email
    phone: Phone
    document: Document

    def personal(self) -> PersonalData:
        return PersonalData(
            name=self.name, email=self.email, phone=self.phone, document=self.document
        )


class CustomerIn(OwnCustomerIn):
    credit_limit_cents: Cents = 0


class CustomerChanges(Changes):
    name: Name | None = None
    email: Email | None = None
    phone: Phone | None = None


class CreditLimitIn(Body):
    limit_cents: Cents


class CreditRequestIn(Body):
    wanted_limit_cents: Cents


class CreditRequestOut(Out):
    """`declined_at` is null while the request waits for an answer. A new limit ends it."""

    wanted_limit_cents: int
    asked_at: datetime
    declined_at: datetime | None


class CustomerSearch(Body):
    """Exactly one is given. It stands in a body and not in the address, which logs contain."""

    document: Text | None = None
    email: Text | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.document is None) == (self.email is None):
            raise fault(DocumentOrEmail())
        return self


class CustomerOut(Out):
    """Personal data is masked unless an admin or the customer asks for it in full. A value is null
    where its stored form cannot be read.
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
    credit_request: CreditRequestOut | None
    version: int
    created_at: datetime
    updated_at: datetime

    @classmethod
    def of(cls, customer: Customer, *, full: bool = False) -> "CustomerOut":
        """Show a customer. Raises CustomerNotFound for an erased one."""
        personal = customer.present() if full else customer.present().masked()
        asked = customer.credit_request
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
            credit_request=asked
            and CreditRequestOut(
                wanted_limit_cents=asked.wanted_cents,
                asked_at=asked.asked_at,
                declined_at=asked.declined_at,
            ),
            version=customer.version,
            created_at=customer.created_at,
            updated_at=customer.updated_at,
        )


class CustomersOut(Out):
    items: list[CustomerOut]


class CustomerPage(CustomersOut):
    """`next` is the cursor of the next page, null on the last one."""

    next: str | None
