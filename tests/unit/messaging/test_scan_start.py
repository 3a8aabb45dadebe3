"""Claims begin at a row below which, by the last two sweeps, no row is due."""

from libs.messaging.relay.scan_start import ScanStart


def test_claims_begin_at_what_the_sweep_before_the_last_one_found() -> None:
    start = ScanStart()
    start.sweep_found(100)
    assert start.seq == 0
    start.sweep_found(200)
    assert start.seq == 100
    start.sweep_found(300)
    assert start.seq == 200


def test_where_nothing_waits_claims_begin_at_what_was_claimed_last() -> None:
    start = ScanStart()
    start.claimed(70)
    start.claimed(60)
    start.sweep_found(None)
    start.sweep_found(None)
    assert start.seq == 70


def test_a_row_that_may_go_is_not_passed_by_a_sweep_that_did_not_see_it() -> None:
    start = ScanStart()
    start.sweep_found(100)
    start.sweep_found(200)
    start.include(50)
    assert start.seq == 50
    start.sweep_found(300)  # the sweep's statement began before the row was let go
    assert start.seq == 50
    start.sweep_found(50)
    assert start.seq == 50
    start.sweep_found(400)
    assert start.seq == 50
    start.sweep_found(500)
    assert start.seq == 400
