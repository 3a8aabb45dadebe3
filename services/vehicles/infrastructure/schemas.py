"""What clients send and get. Money in integer cents, papers masked unless the caller may see."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from pydantic import BaseModel, Field, field_validator

from libs.runtime.schemas import Body, Cents, Out
from services.vehicles.application.ports import Listing, MakeCount, Search, Status
from services.vehicles.domain.papers import Papers
from services.vehicles.domain.vehicle import Details, plain_text
from services.vehicles.domain.wording import words_of

Year = Annotated[int, Field(strict=True, ge=0, le=9999)]


class NewVehicle(Body):
    make: str
    model: str
    year: Year
    colour: str
    price_cents: Cents
    plate: str
    chassis_number: str
    renavam: str
    seller_id: UUID

    @property
    def details(self) -> Details:
        return Details(self.make, self.model, self.year, self.colour, self.price_cents)

    @property
    def papers(self) -> Papers:
        """Raises Invalid."""
        return Papers.checked(
            plate=self.plate,
            chassis_number=self.chassis_number,
            renavam=self.renavam,
            year=self.year,
        )


class VehicleChanges(Body):
    """Only the fields sent are changed; none of them can be emptied."""

    make: str | None = None
    model: str | None = None
    year: Year | None = None
    colour: str | None = None
    price_cents: Cents | None = None
    plate: str | None = None
    chassis_number: str | None = None
    renavam: str | None = None

    @field_validator("*", mode="before")
    @classmethod
    def _not_null(cls, value: Any) -> Any:
        if value is None:
            raise ValueError("leave a field out to keep it; it cannot be null")
        return value


class VehicleOut(Out):
    """A paper is null where what is stored of it cannot be read. It can be written anew."""

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
    """In a body and not in the address, which ends up in logs."""

    plate: Annotated[str, Field(max_length=20, examples=["ABC1D23"])]


class VehiclesOut(Out):
    items: list[VehicleOut]


class VehiclePage(Out):
    """Documents the shape of a page; `next` is the cursor of the page after."""

    items: list[VehicleOut]
    next: str | None


class MakeOut(Out):
    make: str
    count: int


class MakesOut(Out):
    """`total`: vehicles that all filters match. `items`: how many of each make the filters other
    than the make match.
    """

    total: int
    items: list[MakeOut]

    @classmethod
    def of(cls, found: Sequence[MakeCount], make: str | None) -> Self:
        wanted = [each.count for each in found if make is None or each.make.lower() == make.lower()]
        items = [MakeOut(make=each.make, count=each.count) for each in found]
        return cls(total=sum(wanted), items=items)


class Filters(BaseModel):
    """The query of a listing. Prices in cents, both ends of a range included."""

    status: Status = Status.FOR_SALE
    make: str | None = None
    model: str | None = None
    q: Annotated[
        str | None, Field(description="Words or parts of words of make, model, colour and year.")
    ] = None
    year_min: Annotated[int | None, Field(ge=0, le=9999)] = None
    year_max: Annotated[int | None, Field(ge=0, le=9999)] = None
    price_min: Annotated[int | None, Field(ge=0, le=10**12)] = None
    price_max: Annotated[int | None, Field(ge=0, le=10**12)] = None
    order: Literal["price", "-price"] = "price"

    def search(self, tenant_id: str) -> Search:
        """Raises Invalid for a make, a model or words that no vehicle can have."""
        return Search(
            tenant_id=tenant_id,
            status=self.status,
            make=None if self.make is None else plain_text(self.make, "make"),
            model=None if self.model is None else plain_text(self.model, "model"),
            words=() if self.q is None else words_of(plain_text(self.q, "q")),
            year_min=self.year_min,
            year_max=self.year_max,
            price_min=self.price_min,
            price_max=self.price_max,
            descending=self.order == "-price",
        )
