"""The unit of work of vehicles is one transaction with its repositories."""

from sqlalchemy.ext.asyncio import AsyncConnection

from libs.messaging.outbox.outbox import Outbox
from libs.messaging.outbox.unit_of_work import UnitOfWork
from services.vehicles.infrastructure.reservation_repository import PostgresReservations
from services.vehicles.infrastructure.vault import Vault
from services.vehicles.infrastructure.vehicle_repository import PostgresVehicles


class PostgresVehiclesUnitOfWork(UnitOfWork):
    def __init__(self, connection: AsyncConnection, outbox: Outbox, vault: Vault) -> None:
        super().__init__(connection, outbox)
        self.vehicles = PostgresVehicles(connection, vault)
        self.reservations = PostgresReservations(connection)
