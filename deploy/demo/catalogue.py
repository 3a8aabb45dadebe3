"""A new market gets a small catalogue: cars that are common in Brazil."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from deploy.demo.market import Market, random_chassis_number


@dataclass(frozen=True)
class Car:
    """The price is in reais; `chassis` is the prefix of a maker's chassis numbers."""

    make: str
    chassis: str
    model: str
    year: int
    colour: str
    price: int


CATALOGUE = (
    Car("Fiat", "9BD", "Mobi Like", 2021, "branco", 47_900),
    Car("Fiat", "9BD", "Argo Drive 1.0", 2022, "vermelho", 64_500),
    Car("Fiat", "9BD", "Toro Volcano", 2021, "cinza", 118_900),
    Car("Fiat", "9BD", "Strada Freedom", 2023, "prata", 96_700),
    Car("Volkswagen", "9BW", "Gol 1.6", 2019, "prata", 45_900),
    Car("Volkswagen", "9BW", "Polo Highline", 2022, "azul", 89_900),
    Car("Volkswagen", "9BW", "T-Cross Comfortline", 2023, "branco", 124_500),
    Car("Volkswagen", "9BW", "Fusca 1300", 1974, "bege", 32_000),
    Car("Chevrolet", "9BG", "Onix LT", 2021, "preto", 68_900),
    Car("Chevrolet", "9BG", "Tracker Premier", 2022, "azul", 112_800),
    Car("Chevrolet", "9BG", "S10 LTZ", 2020, "branco", 164_900),
    Car("Hyundai", "9BH", "HB20 Comfort", 2022, "prata", 71_500),
    Car("Hyundai", "9BH", "Creta Action", 2021, "cinza", 94_900),
    Car("Toyota", "9BR", "Corolla XEi", 2021, "preto", 122_900),
    Car("Toyota", "9BR", "Yaris Sedan XL", 2020, "branco", 78_500),
    Car("Toyota", "9BR", "Hilux SRV", 2022, "prata", 229_000),
    Car("Honda", "93H", "Civic EXL", 2020, "cinza", 116_400),
    Car("Honda", "93H", "Fit LX", 2019, "azul", 74_900),
    Car("Honda", "93H", "HR-V EX", 2021, "branco", 118_000),
    Car("Renault", "93Y", "Kwid Zen", 2022, "laranja", 48_700),
    Car("Renault", "93Y", "Duster Iconic", 2021, "verde", 92_300),
    Car("Jeep", "988", "Renegade Sport", 2020, "amarelo", 84_900),
    Car("Jeep", "988", "Compass Longitude", 2022, "preto", 146_500),
    Car("Nissan", "94D", "Kicks Advance", 2021, "vermelho", 93_800),
)


async def fill(market: Market, seller_id: UUID, cars: Sequence[Car] = CATALOGUE) -> None:
    """Put the missing cars on the market. Raises httpx.HTTPError."""
    answer = await market.send("vehicles", "GET", "/vehicles?limit=100", expect=200)
    there = {(each["make"], each["model"], each["year"]) for each in answer.json()["items"]}
    for car in cars:
        if (car.make, car.model, car.year) not in there:
            await market.list_vehicle(
                price_cents=car.price * 100,
                make=car.make,
                model=car.model,
                year=car.year,
                colour=car.colour,
                chassis_number=random_chassis_number(car.chassis),
                seller_id=str(seller_id),
            )
