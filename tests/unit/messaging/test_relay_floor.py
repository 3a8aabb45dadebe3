"""The floor lags behind what claims saw, and never rises over a row that may go."""

from libs.messaging.relay.claims import Floor


def test_the_floor_rises_half_a_second_after_a_claim_found_nothing_below() -> None:
    floor = Floor()
    floor.learn(100, now=0.0)
    floor.learn(200, now=0.4)
    assert floor.seq == 0
    floor.learn(300, now=0.6)
    assert floor.seq == 100
    floor.learn(400, now=1.0)
    assert floor.seq == 200


def test_a_row_that_may_go_lowers_the_floor_and_what_it_would_have_risen_to() -> None:
    floor = Floor()
    floor.learn(100, now=0.0)
    floor.learn(200, now=0.6)
    floor.lower(50)
    assert floor.seq == 50
    floor.learn(300, now=1.2)
    assert floor.seq == 50
