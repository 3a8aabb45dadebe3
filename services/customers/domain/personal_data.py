"""Personal data is checked and normalised when it comes in, and masked when it goes out."""

from dataclasses import dataclass, field

import phonenumbers
from email_validator import EmailNotValidError, validate_email
from validate_docbr import CNPJ, CPF

from services.customers.domain.errors import (
    InvalidDocument,
    InvalidEmail,
    InvalidName,
    InvalidPhone,
)

MAX_NAME = 200


@dataclass(frozen=True)
class PersonalData:
    """The values are in normal form (see the functions below). They are left out of `repr`, and so
    out of logs.

    None stands for a stored value that cannot be read.
    """

    name: str | None = field(repr=False)
    email: str | None = field(repr=False)
    phone: str | None = field(repr=False)
    document: str | None = field(repr=False)

    @property
    def is_readable(self) -> bool:
        """Return whether all values can be read."""
        return None not in (self.name, self.email, self.phone, self.document)

    def masked(self) -> "PersonalData":
        """Return the data as a reader without the right to the full data sees it."""
        return PersonalData(
            name=self.name and _mask_name(self.name),
            email=self.email and _mask_email(self.email),
            phone=self.phone and _mask_phone(self.phone),
            document=self.document and _mask_document(self.document),
        )


def normal_name(text: str) -> str:
    """Return the name with single spaces, at most 200 characters. Raises InvalidPersonalData."""
    name = " ".join(text.split())
    if not name or len(name) > MAX_NAME or not name.isprintable():
        raise InvalidName(field="name", most=MAX_NAME)
    return name


def normal_email(text: str) -> str:
    """Return the address in lower case. Its domain may not exist. Raises InvalidPersonalData."""
    try:
        return validate_email(text, check_deliverability=False).normalized.lower()
    except EmailNotValidError as error:
        raise InvalidEmail(field="email") from error


def normal_phone(text: str) -> str:
    """Return the number in E.164, such as `+5511912345678`. Without a country code it is Brazilian.

    Raises InvalidPersonalData.
    """
    try:
        number = phonenumbers.parse(text, "BR")
    except phonenumbers.NumberParseException:
        number = None
    if number is None or not phonenumbers.is_valid_number(number):
        raise InvalidPhone(field="phone")
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def normal_document(text: str) -> str:
    """Return the 11 digits of a CPF or the 14 digits or letters of a CNPJ, without punctuation.

    Raises InvalidPersonalData, also where the check digits are wrong.
    """
    document = "".join(character for character in text if character not in " .-/").upper()
    # CPF.validate pads short numbers with zeros, so the length is checked here.
    is_cpf = len(document) == 11 and CPF().validate(document)
    is_cnpj = len(document) == 14 and CNPJ().validate(document)
    if not (is_cpf or is_cnpj):
        raise InvalidDocument(field="document")
    return document


def _mask_name(name: str) -> str:
    return " ".join(word[0] + "***" for word in name.split())


def _mask_phone(phone: str) -> str:
    return "*" * (len(phone) - 4) + phone[-4:]


def _mask_email(email: str) -> str:
    local, _, domain = email.rpartition("@")
    return f"{local[0]}***@{domain[0]}***.{domain.rpartition('.')[2]}"


def _mask_document(document: str) -> str:
    """Mask the middle of a CPF, the branch of a CNPJ, as is usual in Brazil."""
    if len(document) == 11:
        return f"***.{document[3:6]}.***-**"
    return f"**.***.***/{document[8:12]}-**"
