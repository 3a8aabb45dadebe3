"""Credit in use is never lost, and a limit never falls below it."""

import pytest

from services.customers.domain.credit import Credit
from services.customers.domain.errors import CreditLimitBelowUse


def test_reserved_and_consumed_both_count_against_the_limit() -> None:
    assert Credit(1000, reserved_cents=300, consumed_cents=200).available_cents == 500


def test_a_limit_may_fall_to_what_is_in_use() -> None:
    assert Credit(1000, 300, 200).with_limit(500).available_cents == 0


def test_a_limit_below_what_is_in_use_is_refused_and_the_least_one_named() -> None:
    with pytest.raises(CreditLimitBelowUse, match="at least 500 cents") as refused:
        Credit(1000, 300, 200).with_limit(499)
    assert refused.value.field == "limit_cents"
