"""The sample of payments contains a valid payment code."""

from services.payments.domain.code import parse_code
from tests.contracts.samples import read_sample


def test_code_of_the_sample_is_valid() -> None:
    code = read_sample("payment.code_generated.v1")["data"]["code"]
    assert parse_code(code) == code
