"""Clients send and get these bodies. Money is in integer cents; papers may be masked."""

from collections.abc import Sequence
from datetime import UTC
from functools import partial
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from pydantic import AfterValidator, BaseModel, Field, ValidationError, ValidationInfo

from libs.kernel.clock import utc_now
from libs.kernel.errors import Invalid
from libs.runtime.field_errors import described, fault, rule
from libs.runtime.schemas import Body, Cents, Changes, Out
from services.vehicles.application.ports import Listing, MakeCount, Search, Status
from services.vehicles.domain.papers import (
    Papers,
    checked_chassis_number,
    checked_plate,
    checked_renavam,
)
from services.vehicles.domain.vehicle import Details, checked_price, checked_year, plain_text
from services.vehicles.domain.wording import words_of


def _year_by_now(year: int) -> int:
    return checked_year(year, this_year=utc_now().astimezone(UTC).year)


def _chassis_number(value: str, info: ValidationInfo) -> str:
    """The rule depends on the year in the same body. A change without one is checked again with the
    vehicle's own year.
    """
    try:
        return checked_chassis_number(value, info.data.get("year") or 0)
    except Invalid as error:
        raise fault(error) from None


Make = Annotated[str, rule(partial(plain_text, field="make"))]
Model = Annotated[str, rule(partial(plain_text, field="model"))]
Colour = Annotated[str, rule(partial(plain_text, field="colour"))]
Words = Annotated[str, rule(partial(plain_text, field="q"))]
Year = Annotated[int, Field(strict=True, ge=0, le=9999), rule(_year_by_now)]
Price = Annotated[Cents, rule(checked_price)]
Plate = Annotated[str, rule(checked_plate)]
ChassisNumber = Annotated[str, AfterValidator(_chassis_number)]
Renavam = Annotated[str, rule(checked_renavam)]


class NewVehicle(Body):
    make: Make
    model: Model
    year: Year
    colour: Colour
    price_cents: Price
    plate: Plate
    chassis_number: ChassisNumber
    renavam: Renavam
    seller_id: UUID

    @property
    def details(self) -> Details:
        return Details(self.make, self.model, self.year, self.colour, self.price_cents)

    @property
    def papers(self) -> Papers:
        """Return the checked papers. Raises Invalid."""
        return Papers.checked(
            plate=self.plate,
            chassis_number=self.chassis_number,
            renavam=self.renavam,
            year=self.year,
        )


class VehiclesToCheck(Body):
    vehicles: Annotated[
        list[dict[str, Any]],
        Field(
            max_length=200, description="Each as `POST /vehicles` takes it, as far as it is known."
        ),
    ]


class FieldFault(Out):
    field: str
    code: str
    message: str
    params: dict[str, str | int] = Field(default_factory=dict)


class CheckedVehicle(Out):
    errors: list[FieldFault]

    @classmethod
    def of(cls, vehicle: dict[str, Any]) -> Self:
        try:
            NewVehicle.model_validate(vehicle)
        except ValidationError as error:
            return cls(errors=[FieldFault(**found) for found in described(error.errors())])
        return cls(errors=[])


class CheckedVehicles(Out):
    """There is one for each vehicle, in the order of the request."""

    vehicles: list[CheckedVehicle]


class VehicleChanges(Changes):
    make: Make | None = None
    model: Model | None = None
    year: Year | None = None
    colour: Colour | None = None
    price_cents: Price | None = None
    plate: Plate | None = None
    chassis_number: ChassisNumber | None = None
    renavam: Renavam | None = None


class VehicleOut(Out):
    """A paper is null where its stored value cannot be read. It can be written anew."""

    id: UUID
    make: str
    model: str
    year: int
    colour: str
    price_cents: int
    plate: str | None
    chassis_number: str | None
    renavam: str | None
    seller_id: UUID
    is_reserved: bool
    is_sold: bool
    withdrawn: bool

    @classmethod
    def of(cls, listing: Listing, *, in_full: bool) -> Self:
        vehicle, details = listing.vehicle, listing.vehicle.details
        papers = listing.papers if in_full else listing.papers.masked()
        return cls(
            id=vehicle.id,
            make=details.make,
            model=details.model,
            year=details.year,
            colour=details.colour,
            price_cents=details.price_cents,
            plate=papers.plate,
            chassis_number=papers.chassis_number,
            renavam=papers.renavam,
            seller_id=vehicle.seller_id,
            is_reserved=vehicle.is_reserved,
            is_sold=vehicle.is_sold,
            withdrawn=vehicle.withdrawn,
        )


class PlateSearch(Body):
    """The plate stands in a body and not in the address, because logs contain addresses."""

    plate: Annotated[str, Field(max_length=20, examples=["ABC1D23"])]


class VehiclesOut(Out):
    items: list[VehicleOut]


class VehiclePage(Out):
    """`next` is the cursor of the next page, null on the last one."""

    items: list[VehicleOut]
    next: str | None


class MakeOut(Out):
    make: str
    count: int


class MakesOut(Out):
    """`total` counts the vehicles that match all filters, `items` those of each make that match all
    filters but the make.
    """

    total: int
    items: list[MakeOut]

    @classmethod
    def of(cls, found: Sequence[MakeCount], make: str | None) -> Self:
        wanted = [each.count for each in found if make is None or each.make.lower() == make.lower()]
        items = [MakeOut(make=each.make, count=each.count) for each in found]
        return cls(total=sum(wanted), items=items)


class Filters(BaseModel):
    """A client filters a listing by these. Prices are in cents; a range includes both its ends."""

    status: Status = Status.FOR_SALE
    make: Make | None = None
    model: Model | None = None
    q: Annotated[
        Words | None, Field(description="Words or parts of words of make, model, colour and year.")
    ] = None
    year_min: Annotated[int | None, Field(ge=0, le=9999)] = None
    year_max: Annotated[int | None, Field(ge=0, le=9999)] = None
    price_min: Annotated[int | None, Field(ge=0, le=10**12)] = None
    price_max: Annotated[int | None, Field(ge=0, le=10**12)] = None
    order: Literal["price", "-price"] = "price"

    def search(self, tenant_id: str) -> Search:
        return Search(
            tenant_id=tenant_id,
            status=self.status,
            make=self.make,
            model=self.model,
            words=() if self.q is None else words_of(self.q),
            year_min=self.year_min,
            year_max=self.year_max,
            price_min=self.price_min,
            price_max=self.price_max,
            descending=self.order == "-price",
        )
