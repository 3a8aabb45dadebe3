"""Customers are registered, edited, given limits and erased, on the ports in memory."""

from functools import partial
from uuid import uuid4

import pytest

from libs.kernel.errors import StaleVersion
from services.customers.application.change_credit_limit import change_credit_limit
from services.customers.application.edit_customer import edit_customer
from services.customers.application.erase_customer import erase_customer
from services.customers.application.find_customers import find_customers
from services.customers.application.register_customer import register_customer
from services.customers.application.replay_erasure import replay_erasure
from services.customers.application.reserve_credit import reserve_credit
from services.customers.domain.credit_reservation import CreditReservation, ReservationState
from services.customers.domain.customer import Customer
from services.customers.domain.errors import (
    CreditLimitBelowUse,
    CustomerHasOpenPurchases,
    CustomerNotFound,
    DocumentTaken,
)
from services.customers.domain.events import (
    CreditReservationFailed,
    CustomerErased,
    CustomerRegistered,
    CustomerUpdated,
)
from tests.unit.customers.memory import (
    ANA,
    NOW,
    TENANT,
    MemoryLedger,
    MemoryUnitOfWork,
    a_customer,
)


def stored(uow: MemoryUnitOfWork, customer: Customer) -> Customer:
    return uow.customers.rows[customer.id]


async def register(uow: MemoryUnitOfWork) -> Customer:
    return await register_customer(
        uow,
        customer_id=uuid4(),
        tenant_id=TENANT,
        personal=ANA,
        credit_limit_cents=10_000,
        now=NOW,
    )


async def test_a_registered_customer_has_all_of_the_limit_available() -> None:
    uow = MemoryUnitOfWork()
    customer = await register(uow)
    assert customer.credit.available_cents == 10_000
    assert uow.events == [CustomerRegistered(tenant_id=TENANT, sequence=1, customer_id=customer.id)]


async def test_a_second_customer_with_the_document_is_refused() -> None:
    uow = MemoryUnitOfWork()
    await register(uow)
    with pytest.raises(DocumentTaken):
        await register(uow)


async def test_an_edit_names_the_changed_fields_and_makes_a_new_version() -> None:
    customer = a_customer(uuid4())
    uow = MemoryUnitOfWork(customer)
    changes = {"name": "Ana Lima", "email": str(ANA.email)}
    edited = await edit_customer(
        uow,
        tenant_id=TENANT,
        customer_id=customer.id,
        expected_version=1,
        changes=changes,
        now=NOW,
    )
    assert (edited.version, edited.present().name) == (2, "Ana Lima")
    assert uow.events == [
        CustomerUpdated(tenant_id=TENANT, sequence=1, customer_id=customer.id, changed=("name",))
    ]


async def test_an_edit_that_changes_nothing_publishes_nothing() -> None:
    customer = a_customer(uuid4())
    uow = MemoryUnitOfWork(customer)
    edited = await edit_customer(
        uow,
        tenant_id=TENANT,
        customer_id=customer.id,
        expected_version=1,
        changes={"name": str(ANA.name)},
        now=NOW,
    )
    assert (edited.version, uow.events) == (1, [])


async def test_an_edit_of_an_older_version_is_refused() -> None:
    customer = a_customer(uuid4())
    with pytest.raises(StaleVersion):
        await edit_customer(
            MemoryUnitOfWork(customer),
            tenant_id=TENANT,
            customer_id=customer.id,
            expected_version=2,
            changes={"name": "Ana Lima"},
            now=NOW,
        )


async def test_a_new_limit_moves_what_is_available() -> None:
    customer = a_customer(uuid4())
    uow = MemoryUnitOfWork(customer)
    changed = await change_credit_limit(
        uow,
        tenant_id=TENANT,
        customer_id=customer.id,
        expected_version=1,
        limit_cents=12_000,
        now=NOW,
    )
    assert changed.credit.available_cents == 12_000
    assert [event.type for event in uow.events] == ["customer.updated.v1"]


async def test_a_limit_below_use_changes_nothing() -> None:
    customer = a_customer(uuid4())
    uow = MemoryUnitOfWork(customer)
    await reserve(uow, customer, 6_000)
    uow.events.clear()
    with pytest.raises(CreditLimitBelowUse, match="6000"):
        await change_credit_limit(
            uow,
            tenant_id=TENANT,
            customer_id=customer.id,
            expected_version=1,
            limit_cents=5_999,
            now=NOW,
        )
    assert (customer.credit.limit_cents, customer.version, uow.events) == (10_000, 1, [])


async def test_an_erased_customer_is_gone_and_in_the_ledger() -> None:
    customer = a_customer(uuid4())
    uow, ledger = MemoryUnitOfWork(customer), MemoryLedger()
    await erase(uow, ledger, customer)
    assert stored(uow, customer).personal is None
    assert uow.events == [CustomerErased(tenant_id=TENANT, sequence=1, customer_id=customer.id)]
    assert ledger.entries == [(TENANT, customer.id, NOW)]
    with pytest.raises(CustomerNotFound):
        await uow.customers.get(TENANT, customer.id)


async def test_erasing_twice_does_nothing_the_second_time() -> None:
    customer = a_customer(uuid4())
    uow, ledger = MemoryUnitOfWork(customer), MemoryLedger()
    await erase(uow, ledger, customer)
    await erase(uow, ledger, customer)
    assert (len(uow.events), len(ledger.entries), stored(uow, customer).version) == (1, 1, 2)


@pytest.mark.parametrize("state", [ReservationState.RESERVED, ReservationState.CONSUMED])
async def test_a_customer_with_an_open_purchase_is_not_erased(state: ReservationState) -> None:
    customer = a_customer(uuid4())
    uow, ledger = MemoryUnitOfWork(customer), MemoryLedger()
    order = uuid4()
    uow.reservations.rows[order] = CreditReservation(order, TENANT, customer.id, 1, state)
    with pytest.raises(CustomerHasOpenPurchases):
        await erase(uow, ledger, customer)
    assert (stored(uow, customer).is_erased, ledger.entries, uow.events) == (False, [], [])


async def test_a_customer_is_erased_once_the_order_is_closed() -> None:
    customer = a_customer(uuid4())
    uow, order = MemoryUnitOfWork(customer), uuid4()
    uow.reservations.rows[order] = CreditReservation(
        order, TENANT, customer.id, 1, ReservationState.CONSUMED
    )
    await uow.reservations.mark_closed(order)
    await erase(uow, MemoryLedger(), customer)
    assert stored(uow, customer).is_erased


async def test_a_purchase_after_the_erasure_is_refused() -> None:
    customer = a_customer(uuid4())
    uow = MemoryUnitOfWork(customer)
    await erase(uow, MemoryLedger(), customer)
    await reserve(uow, customer, 1)
    failed = uow.events[-1]
    assert isinstance(failed, CreditReservationFailed)
    assert failed.reason == "customer_erased"


async def test_a_replayed_erasure_erases_what_a_restore_brought_back() -> None:
    customer = a_customer(uuid4())
    uow = MemoryUnitOfWork(customer)
    await reserve(uow, customer, 1)
    again = partial(replay_erasure, uow, tenant_id=TENANT, erased_at=NOW)
    assert await again(customer_id=customer.id)
    assert stored(uow, customer).is_erased
    assert not await again(customer_id=customer.id)
    assert not await again(customer_id=uuid4())


async def test_customers_are_found_by_a_document_or_email_as_people_write_them() -> None:
    customer = a_customer(uuid4())
    uow = MemoryUnitOfWork(customer)
    by_document = await find_customers(uow, tenant_id=TENANT, document="529.982.247-25", email=None)
    by_email = await find_customers(uow, tenant_id=TENANT, document=None, email="ANA@example.com")
    assert list(by_document) == list(by_email) == [customer]


async def reserve(uow: MemoryUnitOfWork, customer: Customer, price_cents: int) -> None:
    await reserve_credit(
        uow,
        tenant_id=TENANT,
        order_id=uuid4(),
        customer_id=customer.id,
        vehicle_id=uuid4(),
        price_cents=price_cents,
    )


async def erase(uow: MemoryUnitOfWork, ledger: MemoryLedger, customer: Customer) -> None:
    await erase_customer(uow, ledger=ledger, tenant_id=TENANT, customer_id=customer.id, now=NOW)
