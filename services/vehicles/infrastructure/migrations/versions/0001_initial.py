"""This migration makes the tables of vehicles, of reservations and of the libraries."""

import sqlalchemy as sa
from alembic import op

from libs.runtime import first_migration

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

ON_MARKET = sa.text("NOT is_sold AND NOT withdrawn")
LISTINGS = (("for_sale", ON_MARKET), ("sold", sa.text("is_sold")))


def upgrade() -> None:
    first_migration.install()
    _create_vehicles()
    _create_reservations()


def downgrade() -> None:
    op.drop_table("reservations")
    op.drop_table("vehicles")
    first_migration.uninstall()


def _create_vehicles() -> None:
    op.create_table(
        "vehicles",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("tenant_id", sa.Text, nullable=False),
        sa.Column("seller_id", sa.Uuid, nullable=False),
        sa.Column("make", sa.Text, nullable=False),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("year", sa.SmallInteger, nullable=False),
        sa.Column("colour", sa.Text, nullable=False),
        sa.Column("price_cents", sa.BigInteger, nullable=False),
        sa.Column("plate", sa.LargeBinary, nullable=False),
        sa.Column("plate_index", sa.LargeBinary, nullable=False),
        sa.Column("chassis_number", sa.LargeBinary, nullable=False),
        sa.Column("chassis_number_index", sa.LargeBinary, nullable=False),
        sa.Column("renavam", sa.LargeBinary, nullable=False),
        sa.Column("renavam_index", sa.LargeBinary, nullable=False),
        sa.Column("is_reserved", sa.Boolean, nullable=False, server_default=sa.false()),
        sa.Column("is_sold", sa.Boolean, nullable=False, server_default=sa.false()),
        sa.Column("withdrawn", sa.Boolean, nullable=False, server_default=sa.false()),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("sequence", sa.Integer, nullable=False),
        sa.CheckConstraint("price_cents > 0", name="vehicles_price_check"),
        sa.CheckConstraint("NOT (is_reserved AND is_sold)", name="vehicles_reserved_or_sold_check"),
    )
    # Each page keeps room for a reserved vehicle's new version, which then needs no index entries.
    op.execute("ALTER TABLE vehicles SET (fillfactor = 80)")
    for paper in ("plate", "chassis_number", "renavam"):
        op.create_index(
            f"vehicles_{paper}_once_on_market",
            "vehicles",
            [f"{paper}_index"],
            unique=True,
            postgresql_where=ON_MARKET,
        )
    for name, condition in LISTINGS:
        for by, first in (("price", ()), ("make", ("make",)), ("model", ("model",))):
            op.create_index(
                f"vehicles_{name}_by_{by}",
                "vehicles",
                [
                    "tenant_id",
                    *(sa.func.lower(sa.column(column)) for column in first),
                    "price_cents",
                    "id",
                ],
                postgresql_where=condition,
            )


def _create_reservations() -> None:
    op.create_table(
        "reservations",
        sa.Column("order_id", sa.Uuid, primary_key=True),
        sa.Column("tenant_id", sa.Text, nullable=False),
        sa.Column("vehicle_id", sa.Uuid),
        sa.Column("customer_id", sa.Uuid),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("sequence", sa.Integer, nullable=False),
        sa.CheckConstraint(
            "state IN ('RESERVED', 'REFUSED', 'RELEASED', 'SOLD', 'SALE_FAILED')",
            name="reservations_state_check",
        ),
    )
    op.create_index(
        "reservations_one_holds_a_vehicle",
        "reservations",
        ["vehicle_id"],
        unique=True,
        postgresql_where=sa.text("state IN ('RESERVED', 'SOLD')"),
    )
