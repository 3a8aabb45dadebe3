from dataclasses import replace

import pytest

from libs.kernel.errors import Invalid, StaleVersion
from services.vehicles.domain.errors import (
    NotYourVehicle,
    VehicleIsReserved,
    VehicleIsSold,
    VehicleIsWithdrawn,
)
from services.vehicles.domain.vehicle import HIGHEST_PRICE_CENTS, Details
from tests.unit.vehicles.samples import DETAILS, SELLER, vehicle


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("year", 1885),
        ("year", 2028),
        ("price_cents", 0),
        ("price_cents", -1),
        ("price_cents", HIGHEST_PRICE_CENTS + 1),
        ("make", " "),
        ("model", "x" * 61),
        ("colour", "a\x00b"),
        ("make", "\ud800"),
    ],
)
def test_details_outside_their_bounds_are_refused(field: str, value: object) -> None:
    details = Details(**{**vars(DETAILS), field: value})
    with pytest.raises(Invalid) as refused:
        details.checked(this_year=2026)
    assert refused.value.field == field


def test_details_are_kept_in_one_spelling_and_next_years_model_is_accepted() -> None:
    details = replace(DETAILS, make="  Alfa \t Romeo ", year=2027)
    assert details.checked(this_year=2026) == replace(DETAILS, make="Alfa Romeo", year=2027)


def test_edit_publishes_the_vehicle_as_it_now_is_and_raises_version_and_sequence() -> None:
    edited = vehicle()
    event = edited.edit(replace(DETAILS, price_cents=1), new_papers=False)
    assert event is not None
    assert (event.price_cents, event.sequence, event.is_sold) == (1, 1, False)
    assert (edited.version, edited.sequence) == (2, 1)


def test_edit_that_changes_nothing_is_no_event_and_no_new_version() -> None:
    unchanged = vehicle()
    assert unchanged.edit(DETAILS, new_papers=False) is None
    assert (unchanged.version, unchanged.sequence) == (1, 0)


@pytest.mark.parametrize("field", ["make", "model", "year", "price_cents"])
def test_price_and_identity_stay_while_reserved(field: str) -> None:
    reserved = vehicle()
    reserved.reserve()
    other = "Fiat" if field in ("make", "model") else 1999
    with pytest.raises(VehicleIsReserved):
        reserved.edit(Details(**{**vars(DETAILS), field: other}), new_papers=False)
    assert reserved.details == DETAILS


def test_papers_stay_while_reserved() -> None:
    reserved = vehicle()
    reserved.reserve()
    with pytest.raises(VehicleIsReserved):
        reserved.edit(DETAILS, new_papers=True)


def test_colour_may_change_while_reserved() -> None:
    reserved = vehicle()
    reserved.reserve()
    assert reserved.edit(replace(DETAILS, colour="preto"), new_papers=False) is not None


def test_vehicle_marked_as_sold_cannot_be_changed_any_more() -> None:
    sold = vehicle()
    assert sold.mark_as_sold().is_sold
    for change in (sold.mark_as_sold, sold.withdraw, lambda: sold.edit(DETAILS, new_papers=True)):
        with pytest.raises(VehicleIsSold):
            change()
    assert not sold.is_for_sale


def test_vehicle_is_not_marked_as_sold_while_reserved() -> None:
    reserved = vehicle()
    reserved.reserve()
    with pytest.raises(VehicleIsReserved):
        reserved.mark_as_sold()


def test_withdrawn_vehicle_cannot_be_changed_any_more() -> None:
    gone = vehicle()
    gone.reserve()
    assert gone.withdraw().vehicle_id == gone.id
    for change in (gone.mark_as_sold, gone.withdraw, lambda: gone.edit(DETAILS, new_papers=True)):
        with pytest.raises(VehicleIsWithdrawn):
            change()


def test_only_its_seller_or_an_admin_acts_on_a_vehicle() -> None:
    listed = vehicle()
    listed.require_seller(str(SELLER))
    listed.require_seller(None)
    with pytest.raises(NotYourVehicle):
        listed.require_seller("somebody else")


def test_version_seen_must_be_the_current_one_where_one_was_seen() -> None:
    listed = vehicle()
    listed.check_version(1)
    listed.check_version(None)
    with pytest.raises(StaleVersion):
        listed.check_version(2)
