"""A vehicle on the market has a description, a price, and flags that say if it is available."""

from dataclasses import dataclass, replace
from uuid import UUID

from libs.kernel.errors import StaleVersion
from services.vehicles.domain.errors import (
    InvalidPrice,
    InvalidText,
    InvalidYear,
    NotYourVehicle,
    VehicleIsReserved,
    VehicleIsSold,
    VehicleIsWithdrawn,
)
from services.vehicles.domain.events import VehicleListed, VehicleUpdated, VehicleWithdrawn

FIRST_YEAR = 1886
LONGEST_TEXT = 60
HIGHEST_PRICE_CENTS = 100_000_000_000


@dataclass(frozen=True)
class Details:
    """The details are all that a listing says, apart from the papers. Money is in integer cents."""

    make: str
    model: str
    year: int
    colour: str
    price_cents: int

    def checked(self, *, this_year: int) -> "Details":
        """Return the values in normal form. Raises Invalid with `field`."""
        return replace(
            self,
            year=checked_year(self.year, this_year=this_year),
            price_cents=checked_price(self.price_cents),
            make=plain_text(self.make, "make"),
            model=plain_text(self.model, "model"),
            colour=plain_text(self.colour, "colour"),
        )


def checked_year(year: int, *, this_year: int) -> int:
    """Return the year, which may be the next one. Raises InvalidYear."""
    if not FIRST_YEAR <= year <= this_year + 1:
        raise InvalidYear(field="year", least=FIRST_YEAR, most=this_year + 1)
    return year


def checked_price(cents: int) -> int:
    """Return the price. Raises InvalidPrice."""
    if not 0 < cents <= HIGHEST_PRICE_CENTS:
        raise InvalidPrice(field="price_cents", least_cents=1, most_cents=HIGHEST_PRICE_CENTS)
    return cents


def plain_text(value: str, field: str) -> str:
    """Return one line of printable characters with single spaces. Raises InvalidText."""
    text = " ".join(value.split())
    if not text or len(text) > LONGEST_TEXT or not text.isprintable():
        raise InvalidText(field=field, most=LONGEST_TEXT)
    return text


@dataclass
class Vehicle:
    """A vehicle is for sale while none of the three flags is set. `is_reserved` is set with a
    RESERVED record; the vehicle may be withdrawn meanwhile.

    `version`, the ETag, counts every change, also by a purchase: a caller who saw the vehicle free
    cannot change it once it is reserved. `sequence` counts its events.
    """

    id: UUID
    tenant_id: str
    seller_id: UUID
    details: Details
    is_reserved: bool = False
    is_sold: bool = False
    withdrawn: bool = False
    version: int = 1
    sequence: int = 0

    @property
    def is_for_sale(self) -> bool:
        return not (self.is_reserved or self.is_sold or self.withdrawn)

    def list(self) -> VehicleListed:
        return VehicleListed(
            tenant_id=self.tenant_id,
            sequence=self._next_sequence(),
            vehicle_id=self.id,
            seller_id=self.seller_id,
            make=self.details.make,
            model=self.details.model,
            year=self.details.year,
            colour=self.details.colour,
            price_cents=self.details.price_cents,
        )

    def require_seller(self, acting_seller: str | None) -> None:
        """Raise NotYourVehicle for another seller. None stands for an admin, who acts for all."""
        if acting_seller is not None and acting_seller != str(self.seller_id):
            raise NotYourVehicle

    def check_version(self, version: int | None) -> None:
        """Raise StaleVersion where the caller has seen another version. None accepts any."""
        if version is not None and version != self.version:
            raise StaleVersion

    def edit(self, details: Details, *, new_papers: bool) -> VehicleUpdated | None:
        """Change the vehicle. While it is RESERVED only the colour may change, because the purchase
        is about this vehicle at this price. An edit without a change publishes no event and makes
        no new version.
        """
        self._require_on_market()
        if details == self.details and not new_papers:
            return None
        same_but_colour = replace(details, colour=self.details.colour) == self.details
        if self.is_reserved and (new_papers or not same_but_colour):
            raise VehicleIsReserved
        self.details = details
        return self._updated()

    def mark_as_sold(self) -> VehicleUpdated:
        """Mark a vehicle that was sold outside of any purchase. It is refused while a purchase
        holds it.
        """
        self._require_on_market()
        if self.is_reserved:
            raise VehicleIsReserved
        self.is_sold = True
        return self._updated()

    def withdraw(
        self, acting_seller: str | None = None, version: int | None = None
    ) -> VehicleWithdrawn:
        """Withdraw the vehicle. Its seller may do it while no purchase holds the vehicle. An admin
        (None) may also do it while it is RESERVED; the payment then finds no vehicle to sell.

        Raises NotYourVehicle, VehicleIsSold, VehicleIsWithdrawn, VehicleIsReserved, StaleVersion.
        """
        self.require_seller(acting_seller)
        self._require_on_market()
        if self.is_reserved and acting_seller is not None:
            raise VehicleIsReserved
        self.check_version(version)
        self.withdrawn = True
        self.version += 1
        return VehicleWithdrawn(
            tenant_id=self.tenant_id,
            sequence=self._next_sequence(),
            vehicle_id=self.id,
            seller_id=self.seller_id,
        )

    def reserve(self) -> None:
        self.is_reserved = True
        self.version += 1

    def sell(self) -> None:
        self.is_reserved = False
        self.is_sold = True
        self.version += 1

    def let_go(self, *, listed_again: bool) -> None:
        """Offer the vehicle again unless it was withdrawn. With `listed_again` its buyer listed it
        before the sale was undone. A vehicle is on the market only once, so this listing ends.
        """
        self.is_reserved = False
        self.is_sold = False
        self.withdrawn = self.withdrawn or listed_again
        self.version += 1

    def _require_on_market(self) -> None:
        if self.is_sold:
            raise VehicleIsSold
        if self.withdrawn:
            raise VehicleIsWithdrawn

    def _updated(self) -> VehicleUpdated:
        self.version += 1
        return VehicleUpdated(
            tenant_id=self.tenant_id,
            sequence=self._next_sequence(),
            vehicle_id=self.id,
            seller_id=self.seller_id,
            make=self.details.make,
            model=self.details.model,
            year=self.details.year,
            colour=self.details.colour,
            price_cents=self.details.price_cents,
            is_sold=self.is_sold,
        )

    def _next_sequence(self) -> int:
        self.sequence += 1
        return self.sequence
