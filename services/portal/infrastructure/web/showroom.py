"""Pages show vehicles with the data of the service vehicles, and a drawing."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Self

PAINTS = {
    "white": "branco branca white blanco blanca pérola perola",
    "black": "preto preta black negro negra",
    "silver": "prata silver plata plateado",
    "grey": "cinza grey gray gris grafite chumbo",
    "red": "vermelho vermelha red rojo roja vinho bordô",
    "blue": "azul blue",
    "green": "verde green",
    "yellow": "amarelo amarela yellow amarillo",
    "orange": "laranja orange naranja",
    "brown": "marrom brown marrón bronze",
    "beige": "bege beige areia dourado champagne",
}
BODIES = {
    "pickup": "strada toro saveiro hilux ranger s10 amarok montana frontier l200 oroch maverick",
    "suv": "compass renegade t-cross nivus tracker creta kicks hr-v duster tiggo pulse fastback"
    " ecosport captur taos commander wr-v sw4 kardian",
    "sedan": "corolla civic virtus cruze city versa yaris voyage cronos logan prisma jetta sentra"
    " siena cobalt hb20s onix-plus",
}
_PAINT_OF = {word: paint for paint, words in PAINTS.items() for word in words.split()}
_BODY_OF = {word: body for body, words in BODIES.items() for word in words.split()}


@dataclass(frozen=True)
class Vehicle:
    """`price_cents` is in integer cents. The papers are masked for those who may not see them, and
    None where they cannot be read.
    """

    id: str
    make: str
    model: str
    year: int
    colour: str
    price_cents: int
    plate: str | None
    chassis_number: str | None
    renavam: str | None
    seller_id: str
    is_reserved: bool
    is_sold: bool
    withdrawn: bool

    @classmethod
    def of(cls, answer: Mapping[str, Any]) -> Self:
        return cls(**{each.name: answer[each.name] for each in fields(cls)})

    @property
    def for_sale(self) -> bool:
        return not (self.is_reserved or self.is_sold or self.withdrawn)

    @property
    def paint(self) -> str:
        """Return the colour of the drawing, which is `plain` for an unknown one."""
        return _first(self.colour, _PAINT_OF, "plain")

    @property
    def body(self) -> str:
        return _first(self.model, _BODY_OF, "hatch")


def _first(text: str, known: Mapping[str, str], otherwise: str) -> str:
    return next((known[word] for word in text.lower().split() if word in known), otherwise)
