"""Personal data is validated by its check digits and formats, kept in one form, and masked."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from validate_docbr import CNPJ, CPF

from services.customers.domain.errors import (
    InvalidDocument,
    InvalidEmail,
    InvalidName,
    InvalidPersonalData,
    InvalidPhone,
)
from services.customers.domain.personal_data import (
    PersonalData,
    normal_document,
    normal_email,
    normal_name,
    normal_phone,
)
from tests.unit.customers.memory import ANA


def test_a_cpf_is_kept_as_its_digits() -> None:
    assert normal_document("529.982.247-25") == "52998224725"


def test_a_cnpj_is_kept_without_punctuation_also_the_alphanumeric_one() -> None:
    assert normal_document("11.222.333/0001-81") == "11222333000181"
    assert normal_document("12.abc.345/01de-35") == "12ABC34501DE35"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1",
        "5299822472",
        "52998224724",
        "529982247250",
        "52998224725x",
        "11111111111",
        "00000000000",
        "٥٢٩٩٨٢٢٤٧٢٥",
        "11222333000182",
        "00000000000000",
    ],
)
def test_a_document_with_wrong_digits_is_refused_without_repeating_it(text: str) -> None:
    with pytest.raises(InvalidDocument) as refused:
        normal_document(text)
    assert (refused.value.field, refused.value.params) == ("document", {})


@settings(deadline=None)
@given(st.text(max_size=30))
def test_any_text_is_a_valid_document_or_refused(text: str) -> None:
    try:
        document = normal_document(text)
    except InvalidPersonalData:
        return
    assert CPF().validate(document) or CNPJ().validate(document)


def test_a_phone_is_kept_with_its_country_brazil_if_none_is_given() -> None:
    assert normal_phone("(11) 91234-5678") == "+5511912345678"
    assert normal_phone("+1 650 253 0000") == "+16502530000"


@pytest.mark.parametrize("text", ["", "123", "telephone", "+55 11 1", "+999 123456789"])
def test_a_text_that_is_no_phone_number_is_refused(text: str) -> None:
    with pytest.raises(InvalidPhone):
        normal_phone(text)


def test_an_email_is_kept_in_lower_case() -> None:
    assert normal_email("Ana.Souza@Example.COM") == "ana.souza@example.com"


@pytest.mark.parametrize("text", ["", "ana", "ana@", "@example.com", "a b@example.com", "a@b@c.de"])
def test_a_text_that_is_no_email_is_refused(text: str) -> None:
    with pytest.raises(InvalidEmail):
        normal_email(text)


def test_a_name_is_kept_with_single_spaces() -> None:
    assert normal_name("  Ana   Maria de  Souza ") == "Ana Maria de Souza"


@pytest.mark.parametrize("text", ["", "   ", "a" * 201, "Ana\u200bSouza\x07"])
def test_a_name_that_is_empty_too_long_or_not_printable_is_refused(text: str) -> None:
    with pytest.raises(InvalidName, match="1 to 200"):
        normal_name(text)


def test_masked_data_shows_too_little_to_reach_or_name_anyone() -> None:
    masked = ANA.masked()
    assert masked.name == "A*** S***"
    assert masked.email == "a***@e***.com"
    assert masked.phone == "**********5678"
    assert masked.document == "***.982.***-**"


def test_a_masked_cnpj_shows_the_branch_only() -> None:
    company = PersonalData("Loja", "loja@example.com", "+551132345678", "11222333000181")
    assert company.masked().document == "**.***.***/0001-**"


def test_the_repr_of_personal_data_is_empty() -> None:
    assert repr(ANA) == "PersonalData()"
