"""A failure shows the values that Hypothesis found."""

import pytest
from hypothesis import given
from hypothesis import strategies as st


def test_a_failure_shows_the_values_that_hypothesis_found() -> None:
    @given(word=st.just("found"))
    def fails(word: str) -> None:
        assert not word

    with pytest.raises(AssertionError) as failure:
        fails()
    assert "word='found'" in "".join(failure.value.__notes__)
