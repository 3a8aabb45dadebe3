"""The papers of a vehicle are its plate, chassis number (VIN) and RENAVAM. All are sensitive."""

import re
from dataclasses import dataclass, field

from validate_docbr import RENAVAM
from vininfo import Vin
from vininfo.exceptions import ValidationError

from services.vehicles.domain.errors import (
    InvalidChassisNumber,
    InvalidPlate,
    InvalidRenavam,
    WrongChassisCheckDigit,
    WrongRenavamCheckDigit,
)

OLD_PLATE = re.compile(r"[A-Z]{3}[0-9]{4}")
MERCOSUL_PLATE = re.compile(r"[A-Z]{3}[0-9][A-Z][0-9]{2}")
CHECK_DIGIT_REGIONS = frozenset("1245L")
"""By law the ninth character is a check digit where a chassis number begins with one of these: the
United States and Canada (49 CFR 565, CMVSS 115) and China (GB 16735). Elsewhere, Brazil included
(NBR 6066), ISO 3779 leaves the ninth character to the maker.
"""

FIRST_YEAR_OF_17 = 1987
"""All chassis numbers have 17 characters from this model year on: CONTRAN's resolution 659/85
demands NBR 6066 of what was made from April 1986 on. Before, each maker had a form of its own.
"""
SHORT_CHASSIS = re.compile(r"[A-Z0-9]{4,16}")


@dataclass(frozen=True)
class Papers:
    """Papers are checked and normalised. They are left out of `repr`, and so out of logs and
    tracebacks.

    None stands for a paper that is stored and cannot be read. It stays as it is stored until a new
    value replaces it.
    """

    plate: str | None = field(repr=False)
    chassis_number: str | None = field(repr=False)
    renavam: str | None = field(repr=False)

    @classmethod
    def checked(
        cls, *, plate: str | None, chassis_number: str | None, renavam: str | None, year: int
    ) -> "Papers":
        """Return the papers in normal form. `year` is that of the model. Raises Invalid with
        `field` for the first paper that breaks a rule.
        """
        return cls(
            None if plate is None else checked_plate(plate),
            None if chassis_number is None else checked_chassis_number(chassis_number, year),
            None if renavam is None else checked_renavam(renavam),
        )

    @property
    def unique_plate(self) -> str | None:
        """Return the plate in its Mercosul form."""
        return None if self.plate is None else _mercosul(self.plate)

    def masked(self) -> "Papers":
        """Return the papers as everybody but an admin and the seller sees them."""
        return Papers(
            _masked(self.plate, shown=2),
            _masked(self.chassis_number, shown=len(self.chassis_number or "") // 4),
            _masked(self.renavam, shown=2),
        )


def _masked(value: str | None, *, shown: int) -> str | None:
    return None if value is None else "*" * (len(value) - shown) + value[-shown:]


def sought_plate(typed: str) -> str:
    """Return the Mercosul form of a plate to search for. Raises Invalid."""
    return _mercosul(checked_plate(typed))


def _mercosul(plate: str) -> str:
    """A plate that changes from ABC1234 to ABC1C34 keeps its letters and digits; only the fifth
    character is spelt anew (0-9 become A-J).
    """
    if MERCOSUL_PLATE.fullmatch(plate):
        return plate
    return plate[:4] + "ABCDEFGHIJ"[int(plate[4])] + plate[5:]


def checked_plate(value: str) -> str:
    plate = value.strip().upper().replace("-", "", 1)
    if not (OLD_PLATE.fullmatch(plate) or MERCOSUL_PLATE.fullmatch(plate)):
        raise InvalidPlate(field="plate")
    return plate


def checked_chassis_number(value: str, year: int) -> str:
    short = re.sub(r"[ ./*-]", "", value.strip().upper())
    if year < FIRST_YEAR_OF_17 and SHORT_CHASSIS.fullmatch(short):
        return short
    try:
        number = str(Vin.validate(value))
    except ValidationError:
        raise InvalidChassisNumber(
            field="chassis_number", last_short_year=FIRST_YEAR_OF_17 - 1
        ) from None
    if number[0] in CHECK_DIGIT_REGIONS and not Vin(number).verify_checksum(check_year=False):
        raise WrongChassisCheckDigit(field="chassis_number")
    return number


def checked_renavam(value: str) -> str:
    """Return eleven digits, the last of which is a check digit. Older numbers have nine digits and
    are padded with zeros.
    """
    digits = value.strip().replace("-", "", 1)
    number = digits.zfill(11)
    if not re.fullmatch(r"[0-9]{9,11}", digits) or not int(digits):
        raise InvalidRenavam(field="renavam")
    if not RENAVAM().validate(number):
        raise WrongRenavamCheckDigit(field="renavam")
    return number
