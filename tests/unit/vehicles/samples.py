"""Makes valid vehicles and papers. No two of them are the same."""

import itertools
from uuid import UUID

from libs.kernel.ids import uuid7
from services.vehicles.domain.papers import Papers
from services.vehicles.domain.reservation import Purchase
from services.vehicles.domain.vehicle import Details, Vehicle

TENANT = "acme"
SELLER = UUID("01999999-0000-7000-8000-00000000beef")
PRICE_CENTS = 7_990_000
DETAILS = Details("Volkswagen", "Golf", 2019, "prata", PRICE_CENTS)

_numbers = itertools.count(1)


def new_papers() -> Papers:
    number = next(_numbers)
    return Papers.checked(
        year=2022,
        plate=f"ABC{number % 10_000:04}",
        chassis_number=f"9BWZZZ377VT{number:06}",
        renavam=renavam(number),
    )


def renavam(number: int) -> str:
    """Return the first ten digits and the check digit that belongs to them."""
    digits = f"{number:010}"
    weights = (3, 2, 9, 8, 7, 6, 5, 4, 3, 2)
    total = sum(int(digit) * weight for digit, weight in zip(digits, weights, strict=True))
    return digits + str(total * 10 % 11 % 10)


def vehicle(tenant_id: str = TENANT) -> Vehicle:
    return Vehicle(uuid7(), tenant_id, SELLER, DETAILS)


def purchase_of(vehicle: Vehicle, total_cents: int = PRICE_CENTS) -> Purchase:
    return Purchase(uuid7(), TENANT, uuid7(), vehicle.id, total_cents)
