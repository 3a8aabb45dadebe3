"""The tables of all services share the libraries' tables and the names of constraints."""

from collections.abc import Mapping
from types import MappingProxyType

from sqlalchemy import MetaData, Table

from libs.messaging.schema.tables import MessagingTables, messaging_tables
from libs.runtime.idempotency import idempotency_table

NAMES = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s",
    "pk": "pk_%(table_name)s",
}


def service_tables(
    service: str, names: Mapping[str, str] = MappingProxyType(NAMES)
) -> tuple[MetaData, MessagingTables, Table]:
    """Return the metadata of a service's own tables, the tables of the messaging library, and the
    table of the idempotency keys. `names` is SQLAlchemy's naming convention of constraints.
    """
    metadata = MetaData(naming_convention=dict(names))
    return metadata, messaging_tables(metadata, source=service), idempotency_table(metadata)
