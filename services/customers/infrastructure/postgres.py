"""Customers are stored in Postgres. The unit of work has both repositories."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, RowMapping, select, text, tuple_, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from libs.messaging.outbox.outbox import Outbox
from libs.messaging.outbox.unit_of_work import UnitOfWork
from services.customers.domain.credit import Credit
from services.customers.domain.credit_request import CreditRequest
from services.customers.domain.customer import Customer
from services.customers.domain.errors import CustomerNotFound, DocumentTaken
from services.customers.infrastructure.reservations import PostgresReservations
from services.customers.infrastructure.tables import customers
from services.customers.infrastructure.vault import Vault

ERASED: dict[str, None] = dict.fromkeys(
    ("name", "email", "phone", "document", "data_key", "document_index", "email_index")
)

_LOCK_USER = text("SELECT pg_advisory_xact_lock(hashtextextended(:user, 0))")
"""The lock is held until the commit. Requests for one user wait for each other, also before there
is a row.
"""


class PostgresCustomers:
    def __init__(self, connection: AsyncConnection, vault: Vault) -> None:
        self._connection = connection
        self._vault = vault

    async def add(self, customer: Customer) -> None:
        added = await self._connection.execute(
            insert(customers)
            .values(id=customer.id, tenant_id=customer.tenant_id, **self._columns(customer))
            .on_conflict_do_nothing(index_elements=["tenant_id", "document_index"])
            .returning(customers.c.id)
        )
        if added.one_or_none() is None:
            raise DocumentTaken(field="document")

    async def get(self, tenant_id: str, customer_id: UUID) -> Customer:
        customer = await self._one(tenant_id, customer_id, for_update=False)
        customer.present()
        return customer

    async def lock(self, tenant_id: str, customer_id: UUID) -> Customer:
        customer = await self.lock_even_erased(tenant_id, customer_id)
        customer.present()
        return customer

    async def lock_even_erased(self, tenant_id: str, customer_id: UUID) -> Customer:
        return await self._one(tenant_id, customer_id, for_update=True)

    async def find_locked_of_user(self, tenant_id: str, user_id: UUID) -> Customer | None:
        user = f"customer of user {tenant_id} {user_id}"
        await self._connection.execute(_LOCK_USER, {"user": user})
        rows = await self._connection.execute(
            select(customers)
            .where(customers.c.tenant_id == tenant_id, customers.c.user_id == user_id)
            .with_for_update()
        )
        row = rows.mappings().one_or_none()
        return None if row is None else self._customer(row)

    async def save(self, customer: Customer) -> None:
        await self._connection.execute(
            update(customers).where(customers.c.id == customer.id).values(self._columns(customer))
        )

    async def page(self, tenant_id: str, after: UUID | None, limit: int) -> Sequence[Customer]:
        """Return the customers before the customer `after`, newest first: ids grow with time."""
        query = (
            select(customers)
            .where(customers.c.tenant_id == tenant_id, customers.c.erased_at.is_(None))
            .order_by(customers.c.id.desc())
            .limit(limit)
        )
        if after is not None:
            query = query.where(customers.c.id < after)
        rows = await self._connection.execute(query)
        return [self._customer(row) for row in rows.mappings()]

    async def page_of_requests(
        self, tenant_id: str, after: tuple[datetime, UUID] | None, limit: int
    ) -> Sequence[Customer]:
        """Return customers with an open request for credit, the oldest request first. `after` is
        the time of the request and the id of the last customer of the page before.
        """
        place = customers.c.credit_asked_at, customers.c.id
        query = (
            select(customers)
            .where(
                customers.c.tenant_id == tenant_id,
                customers.c.credit_asked_at.is_not(None),
                customers.c.credit_declined_at.is_(None),
            )
            .order_by(*place)
            .limit(limit)
        )
        if after is not None:
            query = query.where(tuple_(*place) > tuple_(*after))
        rows = await self._connection.execute(query)
        return [self._customer(row) for row in rows.mappings()]

    async def find_by_document(self, tenant_id: str, document: str) -> Sequence[Customer]:
        index = self._vault.document_index(tenant_id, document)
        return await self._find(tenant_id, customers.c.document_index == index)

    async def find_by_email(self, tenant_id: str, email: str) -> Sequence[Customer]:
        index = self._vault.email_index(tenant_id, email)
        return await self._find(tenant_id, customers.c.email_index == index)

    async def _find(self, tenant_id: str, matches: ColumnElement[bool]) -> list[Customer]:
        rows = await self._connection.execute(
            select(customers)
            .where(customers.c.tenant_id == tenant_id, matches)
            .order_by(customers.c.id)
        )
        return [self._customer(row) for row in rows.mappings()]

    async def _one(self, tenant_id: str, customer_id: UUID, *, for_update: bool) -> Customer:
        query = select(customers).where(
            customers.c.id == customer_id, customers.c.tenant_id == tenant_id
        )
        rows = await self._connection.execute(query.with_for_update() if for_update else query)
        row = rows.mappings().one_or_none()
        if row is None:
            raise CustomerNotFound
        return self._customer(row)

    def _columns(self, customer: Customer) -> dict[str, Any]:
        """Return all columns but the keys. Credit is among them, because the row is locked and
        nobody else has changed it.
        """
        personal = (
            {**ERASED, "erased_at": customer.updated_at}
            if customer.personal is None
            else self._vault.seal(customer.tenant_id, customer.id, customer.personal)
        )
        asked = customer.credit_request
        return {
            **personal,
            "wanted_limit_cents": asked and asked.wanted_cents,
            "credit_asked_at": asked and asked.asked_at,
            "credit_declined_at": asked and asked.declined_at,
            "user_id": customer.user_id,
            "version": customer.version,
            "sequence": customer.sequence,
            "limit_cents": customer.credit.limit_cents,
            "reserved_cents": customer.credit.reserved_cents,
            "consumed_cents": customer.credit.consumed_cents,
            "available_cents": customer.credit.available_cents,
            "created_at": customer.created_at,
            "updated_at": customer.updated_at,
        }

    def _customer(self, row: RowMapping) -> Customer:
        return Customer(
            id=row["id"],
            tenant_id=row["tenant_id"],
            personal=self._vault.open(row),
            credit=Credit(row["limit_cents"], row["reserved_cents"], row["consumed_cents"]),
            created_at=row["created_at"],
            updated_at=row["updated_at"],
            version=row["version"],
            sequence=row["sequence"],
            user_id=row["user_id"],
            credit_request=None
            if row["credit_asked_at"] is None
            else CreditRequest(
                row["wanted_limit_cents"], row["credit_asked_at"], row["credit_declined_at"]
            ),
        )


class PostgresCustomersUnitOfWork(UnitOfWork):
    def __init__(self, connection: AsyncConnection, outbox: Outbox, vault: Vault) -> None:
        super().__init__(connection, outbox)
        self.customers = PostgresCustomers(connection, vault)
        self.reservations = PostgresReservations(connection)
