"""The canvas of customers names states and reasons."""

from services.customers.domain.credit_reservation import Refusal, ReservationState
from tests.contracts.canvas import canvas_of


def test_the_canvas_names_every_state_and_every_reason_of_a_refusal() -> None:
    canvas = canvas_of("customers")
    assert all(state in canvas for state in ReservationState)
    assert all(f"`{reason}`" in canvas for reason in Refusal)
