"""What this service refuses. The codes are stable: clients may depend on them."""

from libs.kernel.errors import Conflict, Forbidden, NotFound


class VehicleNotFound(NotFound):
    code = "vehicle-not-found"

    def __init__(self) -> None:
        super().__init__("There is no such vehicle.")


class SellerNotFound(NotFound):
    code = "seller-not-found"

    def __init__(self) -> None:
        super().__init__("There is no such seller.")


class NotYourVehicle(Forbidden):
    code = "not-your-vehicle"

    def __init__(self) -> None:
        super().__init__("A seller may only list, edit and withdraw vehicles of their own.")


class VehicleIsReserved(Conflict):
    code = "vehicle-reserved"

    def __init__(self) -> None:
        super().__init__(
            "A purchase holds the vehicle: only its colour may be changed, and its seller"
            " cannot withdraw it now."
        )


class VehicleIsSold(Conflict):
    code = "vehicle-sold"

    def __init__(self) -> None:
        super().__init__("The vehicle is sold and cannot be changed any more.")


class VehicleIsWithdrawn(Conflict):
    code = "vehicle-withdrawn"

    def __init__(self) -> None:
        super().__init__("The vehicle was withdrawn and cannot be changed any more.")


class VehicleAlreadyListed(Conflict):
    """`field` names the paper that another vehicle on the market carries: never its value."""

    code = "vehicle-already-listed"

    def __init__(self, field: str) -> None:
        super().__init__(f"A vehicle with this {field} is on the market already.", field=field)
