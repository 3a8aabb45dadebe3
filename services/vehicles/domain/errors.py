"""Vehicles refuses requests with these errors. Each code is stable: clients may depend on it."""

from libs.kernel.errors import Conflict, Forbidden, Invalid, NotFound


class VehicleNotFound(NotFound):
    code = "vehicle-not-found"
    text = "There is no such vehicle."


class SellerNotFound(NotFound):
    code = "seller-not-found"
    text = "There is no such seller."


class NotYourVehicle(Forbidden):
    code = "not-your-vehicle"
    text = "A seller may only list, edit and withdraw vehicles of their own."


class VehicleIsReserved(Conflict):
    code = "vehicle-reserved"
    text = (
        "A purchase holds the vehicle: only its colour may be changed, and its seller"
        " cannot withdraw it now."
    )


class VehicleIsSold(Conflict):
    code = "vehicle-sold"
    text = "The vehicle is sold and cannot be changed any more."


class VehicleIsWithdrawn(Conflict):
    code = "vehicle-withdrawn"
    text = "The vehicle was withdrawn and cannot be changed any more."


class VehicleAlreadyListed(Conflict):
    """`field` names the paper that another vehicle on the market has. The value is never shown."""

    code = "vehicle-already-listed"

    text = "Another vehicle on the market has it already."

    def __init__(self, field: str) -> None:
        super().__init__(field=field)


class InvalidText(Invalid):
    code = "invalid-text"
    text = "It is 1 to {most} printable characters."


class InvalidYear(Invalid):
    code = "year-out-of-range"
    text = "The year is between {least} and {most}."


class InvalidPrice(Invalid):
    code = "price-out-of-range"
    text = "The price is between {least_cents} and {most_cents} cents."


class InvalidPlate(Invalid):
    code = "invalid-plate"
    text = "A plate reads ABC1234 or, since Mercosul, ABC1D23."


class InvalidChassisNumber(Invalid):
    code = "invalid-chassis-number"
    text = (
        "A chassis number has 17 letters and digits, none of them I, O or Q."
        " Up to model year {last_short_year} it may have 4 to 16."
    )


class WrongChassisCheckDigit(Invalid):
    code = "wrong-chassis-check-digit"
    text = "The check digit of the chassis number is wrong."


class InvalidRenavam(Invalid):
    code = "invalid-renavam"
    text = "A RENAVAM has eleven digits."


class WrongRenavamCheckDigit(Invalid):
    code = "wrong-renavam-check-digit"
    text = "The check digit of the RENAVAM is wrong."
