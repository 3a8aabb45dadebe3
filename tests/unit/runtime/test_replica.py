"""A standby is behind by the age of the changes that it misses."""

from libs.runtime.replica import Lag


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_standby_is_behind_by_the_age_of_what_it_misses() -> None:
    clock = Clock()
    lag = Lag(clock)
    for second, position in enumerate((100, 100, 250, 300)):
        clock.now = float(second)
        lag.written(position)

    assert lag.seconds(99) == 3
    assert lag.seconds(100) == 1
    assert lag.seconds(299) == 0
    clock.now = 9.0
    assert lag.seconds(299) == 6
    assert lag.seconds(300) == 0


def test_a_standby_of_a_database_at_rest_is_not_behind() -> None:
    clock = Clock()
    lag = Lag(clock)
    for second in range(1000):
        clock.now = float(second)
        lag.written(100)
        assert lag.seconds(100) == 0
