"""The vehicles service is put together here. `python -m services.vehicles.main` runs it; with the
word `re-seal` it seals the papers anew after a change of DATA_KEYS.
"""

from functools import partial

from libs.messaging.outbox.outbox import Outbox
from libs.messaging.outbox.unit_of_work import Transactions
from libs.runtime.data_keys import Indexed, Sealed
from libs.runtime.database import create_engine
from libs.runtime.server import main
from libs.runtime.service import Service
from libs.runtime.written_choreography import read_choreography
from services.vehicles.infrastructure.consumers import participant
from services.vehicles.infrastructure.http import router
from services.vehicles.infrastructure.postgres import PostgresVehiclesUnitOfWork
from services.vehicles.infrastructure.settings import VehiclesSettings
from services.vehicles.infrastructure.tables import PAPERS, TABLES, vehicles
from services.vehicles.infrastructure.vault import Vault


def build(settings: VehiclesSettings) -> Service[PostgresVehiclesUnitOfWork]:
    vault = Vault(settings.data_keys, settings.index_key)
    transactions = Transactions(
        create_engine(settings),
        Outbox(settings.service, TABLES),
        partial(PostgresVehiclesUnitOfWork, vault=vault),
    )
    return Service(
        settings=settings,
        description="Vehicles for sale and sold.",
        tags={"vehicles": "List, find, change, withdraw."},
        participant=participant(),
        choreography=read_choreography(settings.choreography),
        tables=TABLES,
        transactions=transactions,
        routers=[router(transactions)],
        sealed=Sealed(
            settings.data_keys,
            [vehicles.c[paper] for paper in PAPERS],
            Indexed(vehicles.c.renavam_index, vault.finds),
        ),
    )


if __name__ == "__main__":
    main(VehiclesSettings, build)
