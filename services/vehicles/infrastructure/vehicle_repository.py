"""Vehicles are stored with their papers, and listed by price."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Row,
    Select,
    bindparam,
    func,
    insert,
    or_,
    select,
    tuple_,
    update,
)
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from services.vehicles.application.ports import Listing, MakeCount, Search, Status
from services.vehicles.domain.errors import VehicleAlreadyListed, VehicleNotFound
from services.vehicles.domain.papers import Papers
from services.vehicles.domain.vehicle import Details, Vehicle
from services.vehicles.infrastructure.tables import PAPERS, vehicles
from services.vehicles.infrastructure.vault import Vault

_own = vehicles.alias("own")
_LISTED_AGAIN = (
    select(vehicles.c.id)
    .where(
        _own.c.id == bindparam("vehicle_id"),
        or_(*(vehicles.c[f"{paper}_index"] == _own.c[f"{paper}_index"] for paper in PAPERS)),
        vehicles.c.id != _own.c.id,
        ~vehicles.c.is_sold,
        ~vehicles.c.withdrawn,
    )
    .limit(1)
)


class PostgresVehicles:
    def __init__(self, connection: AsyncConnection, vault: Vault) -> None:
        self._connection = connection
        self._vault = vault

    async def add(self, vehicle: Vehicle, papers: Papers) -> None:
        sealed = self._vault.seal(papers, vehicle.tenant_id, vehicle.id)
        with _each_paper_once():
            await self._connection.execute(insert(vehicles), {**_columns(vehicle), **sealed})

    async def get(self, tenant_id: str, vehicle_id: UUID) -> Listing:
        return await self._one(select(vehicles), tenant_id, vehicle_id)

    async def lock(self, tenant_id: str, vehicle_id: UUID) -> Listing:
        return await self._one(select(vehicles).with_for_update(), tenant_id, vehicle_id)

    async def save(self, vehicle: Vehicle, papers: Papers | None = None) -> None:
        values = _columns(vehicle)
        if papers is not None:
            values |= self._vault.seal(papers, vehicle.tenant_id, vehicle.id)
        with _each_paper_once():
            await self._connection.execute(
                update(vehicles).where(vehicles.c.id == vehicle.id).values(values)
            )

    async def page(
        self, search: Search, after: tuple[int, UUID] | None, limit: int
    ) -> Sequence[Listing]:
        rows = await self._connection.execute(search_statement(search, after=after, limit=limit))
        return [self._listing(row) for row in rows]

    async def makes(self, search: Search) -> Sequence[MakeCount]:
        rows = await self._connection.execute(
            select(vehicles.c.make, func.count())
            .where(
                vehicles.c.tenant_id == search.tenant_id, *_conditions(replace(search, make=None))
            )
            .group_by(vehicles.c.make)
        )
        # There are few spellings. Merging them here spares the database a call for each row.
        spellings = defaultdict[str, list[MakeCount]](list)
        for make, count in rows:
            spellings[make.lower()].append(MakeCount(make, count))
        return [
            MakeCount(max(each, key=_usual).make, sum(spelt.count for spelt in each))
            for _, each in sorted(spellings.items())
        ]

    async def page_of_seller(
        self, tenant_id: str, after: UUID | None, limit: int, *, seller_id: UUID
    ) -> Sequence[Listing]:
        query = (
            select(vehicles)
            .where(vehicles.c.tenant_id == tenant_id, vehicles.c.seller_id == seller_id)
            .order_by(vehicles.c.id.desc())
            .limit(limit)
        )
        if after is not None:
            query = query.where(vehicles.c.id < after)
        return [self._listing(row) for row in await self._connection.execute(query)]

    async def find_by_plate(self, tenant_id: str, plate: str, limit: int) -> Sequence[Listing]:
        """Return vehicles, newest first, sold and withdrawn ones too. `plate` is in its Mercosul
        form.
        """
        rows = await self._connection.execute(
            select(vehicles)
            .where(
                vehicles.c.tenant_id == tenant_id,
                vehicles.c.plate_index == self._vault.plate_index(tenant_id, plate),
            )
            .order_by(vehicles.c.id.desc())
            .limit(limit)
        )
        return [self._listing(row) for row in rows]

    async def is_listed_again(self, vehicle: Vehicle) -> bool:
        found = await self._connection.execute(_LISTED_AGAIN, {"vehicle_id": vehicle.id})
        return found.first() is not None

    async def _one(
        self, statement: Select[*tuple[Any, ...]], tenant_id: str, vehicle_id: UUID
    ) -> Listing:
        row = (
            await self._connection.execute(
                statement.where(vehicles.c.id == vehicle_id, vehicles.c.tenant_id == tenant_id)
            )
        ).one_or_none()
        if row is None:
            raise VehicleNotFound
        return self._listing(row)

    def _listing(self, row: Row[Any]) -> Listing:
        vehicle = Vehicle(
            id=row.id,
            tenant_id=row.tenant_id,
            seller_id=row.seller_id,
            details=Details(row.make, row.model, row.year, row.colour, row.price_cents),
            is_reserved=row.is_reserved,
            is_sold=row.is_sold,
            withdrawn=row.withdrawn,
            version=row.version,
            sequence=row.sequence,
        )
        return Listing(vehicle, self._vault.open(row))


def _usual(spelling: MakeCount) -> tuple[int, str]:
    return spelling.count, spelling.make


def search_statement(
    search: Search, *, after: tuple[int, UUID] | None, limit: int
) -> Select[*tuple[Any, ...]]:
    """Page by the key (price, id), which is unique and ends each index that the search may use."""
    key = (vehicles.c.price_cents, vehicles.c.id)
    statement = select(vehicles).where(
        vehicles.c.tenant_id == search.tenant_id, *_conditions(search)
    )
    if after is not None:
        position = tuple_(*key)
        statement = statement.where(position < after if search.descending else position > after)
    order = [column.desc() if search.descending else column.asc() for column in key]
    return statement.order_by(*order).limit(limit)


def _conditions(search: Search) -> Iterator[ColumnElement[bool]]:
    if search.status is Status.SOLD:
        yield vehicles.c.is_sold
    else:
        yield from (~vehicles.c.is_sold, ~vehicles.c.withdrawn, ~vehicles.c.is_reserved)
    if search.make is not None:
        yield func.lower(vehicles.c.make) == func.lower(search.make)
    if search.model is not None:
        yield func.lower(vehicles.c.model) == func.lower(search.model)
    for word in search.words:
        yield vehicles.c.words.contains(word, autoescape=True)
    if search.year_min is not None:
        yield vehicles.c.year >= search.year_min
    if search.year_max is not None:
        yield vehicles.c.year <= search.year_max
    if search.price_min is not None:
        yield vehicles.c.price_cents >= search.price_min
    if search.price_max is not None:
        yield vehicles.c.price_cents <= search.price_max


@contextmanager
def _each_paper_once() -> Iterator[None]:
    """Raise VehicleAlreadyListed for a conflict in a unique index. The transaction cannot go on."""
    try:
        yield
    except IntegrityError as error:
        for paper in PAPERS:
            if f"vehicles_{paper}_once_on_market" in str(error.orig):
                raise VehicleAlreadyListed(paper) from None
        raise


def _columns(vehicle: Vehicle) -> dict[str, Any]:
    details = vehicle.details
    return {
        "id": vehicle.id,
        "tenant_id": vehicle.tenant_id,
        "seller_id": vehicle.seller_id,
        "make": details.make,
        "model": details.model,
        "year": details.year,
        "colour": details.colour,
        "price_cents": details.price_cents,
        "is_reserved": vehicle.is_reserved,
        "is_sold": vehicle.is_sold,
        "withdrawn": vehicle.withdrawn,
        "version": vehicle.version,
        "sequence": vehicle.sequence,
    }
