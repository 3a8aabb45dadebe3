"""These are the tables of vehicles, beside those of the libraries."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Computed,
    Index,
    Integer,
    LargeBinary,
    SmallInteger,
    Table,
    Text,
    Uuid,
    false,
    func,
    text,
)

from services.tables import service_tables
from services.vehicles.domain.reservation import HOLDING, State
from services.vehicles.domain.wording import ACCENTED, PLAIN

# The constraints keep the names that they have in existing databases.
metadata, TABLES, IDEMPOTENCY = service_tables("vehicles", names={})

WORDS = (
    "lower(translate(make || ' ' || model || ' ' || colour || ' ' || year::text,"
    f" '{ACCENTED}', '{PLAIN}'))"
)
"""A search by words looks in this text, which has the form of `words_of`. It is stored, because
computing it for each row makes a search ten times as slow.
"""

vehicles = Table(
    "vehicles",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("tenant_id", Text, nullable=False),
    Column("seller_id", Uuid, nullable=False),
    Column("make", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("year", SmallInteger, nullable=False),
    Column("colour", Text, nullable=False),
    Column("price_cents", BigInteger, nullable=False),
    Column("words", Text, Computed(WORDS, persisted=True)),
    Column("plate", LargeBinary, nullable=False),
    Column("plate_index", LargeBinary, nullable=False),
    Column("chassis_number", LargeBinary, nullable=False),
    Column("chassis_number_index", LargeBinary, nullable=False),
    Column("renavam", LargeBinary, nullable=False),
    Column("renavam_index", LargeBinary, nullable=False),
    Column("is_reserved", Boolean, nullable=False, server_default=false()),
    Column("is_sold", Boolean, nullable=False, server_default=false()),
    Column("withdrawn", Boolean, nullable=False, server_default=false()),
    Column("version", Integer, nullable=False),
    Column("sequence", Integer, nullable=False),
    CheckConstraint("price_cents > 0", name="vehicles_price_check"),
    CheckConstraint("NOT (is_reserved AND is_sold)", name="vehicles_reserved_or_sold_check"),
)
# `is_reserved` is in no index and in no index's condition, so that reserving a vehicle writes no
# index at all (a heap-only update). A listing skips the few reserved ones as it reads.
ON_MARKET = text("NOT is_sold AND NOT withdrawn")
SOLD = text("is_sold")

PAPERS = ("plate", "chassis_number", "renavam")
for paper in PAPERS:
    # A vehicle may be listed again after it was sold or withdrawn.
    Index(
        f"vehicles_{paper}_once_on_market",
        vehicles.c[f"{paper}_index"],
        unique=True,
        postgresql_where=ON_MARKET,
    )
Index("vehicles_by_seller", vehicles.c.tenant_id, vehicles.c.seller_id, vehicles.c.id)
Index("vehicles_by_plate", vehicles.c.plate_index)
for name, condition in (("for_sale", ON_MARKET), ("sold", SOLD)):
    Index(
        f"vehicles_{name}_by_price",
        vehicles.c.tenant_id,
        vehicles.c.price_cents,
        vehicles.c.id,
        postgresql_where=condition,
    )
    Index(
        f"vehicles_{name}_by_make",
        vehicles.c.tenant_id,
        func.lower(vehicles.c.make),
        vehicles.c.price_cents,
        vehicles.c.id,
        postgresql_where=condition,
    )
    Index(
        f"vehicles_{name}_by_model",
        vehicles.c.tenant_id,
        func.lower(vehicles.c.model),
        vehicles.c.price_cents,
        vehicles.c.id,
        postgresql_where=condition,
    )

reservations = Table(
    "reservations",
    metadata,
    Column("order_id", Uuid, primary_key=True),
    Column("tenant_id", Text, nullable=False),
    Column("vehicle_id", Uuid),
    Column("customer_id", Uuid),
    Column("state", Text, nullable=False),
    Column("sequence", Integer, nullable=False),
    CheckConstraint(
        "state IN ({})".format(", ".join(f"'{state}'" for state in State)),
        name="reservations_state_check",
    ),
)
Index(
    "reservations_one_holds_a_vehicle",
    reservations.c.vehicle_id,
    unique=True,
    postgresql_where=text("state IN ({})".format(", ".join(f"'{state}'" for state in HOLDING))),
)
