"""A customer requests a higher credit limit, and an admin grants or declines it."""

from uuid import UUID, uuid4

import pytest

from libs.kernel.errors import StaleVersion
from services.customers.application.ask_for_credit import ask_for_credit
from services.customers.application.change_credit_limit import change_credit_limit
from services.customers.application.decline_credit import decline_credit
from services.customers.application.erase_customer import erase_customer
from services.customers.domain.credit_request import CreditRequest
from services.customers.domain.customer import Customer
from services.customers.domain.errors import CreditRequestTooLow, NoCreditRequest
from services.customers.domain.events import CustomerUpdated
from tests.unit.customers.memory import (
    NOW,
    TENANT,
    MemoryLedger,
    MemoryUnitOfWork,
    a_customer,
)


async def ask(uow: MemoryUnitOfWork, customer_id: UUID, wanted_cents: int) -> Customer:
    return await ask_for_credit(
        uow, tenant_id=TENANT, customer_id=customer_id, wanted_cents=wanted_cents, now=NOW
    )


async def decline(uow: MemoryUnitOfWork, customer_id: UUID, version: int) -> Customer:
    return await decline_credit(
        uow, tenant_id=TENANT, customer_id=customer_id, expected_version=version, now=NOW
    )


async def set_limit(uow: MemoryUnitOfWork, customer_id: UUID, version: int, cents: int) -> None:
    await change_credit_limit(
        uow,
        tenant_id=TENANT,
        customer_id=customer_id,
        expected_version=version,
        limit_cents=cents,
        now=NOW,
    )


@pytest.fixture
def customer() -> Customer:
    return a_customer(uuid4(), 10_000)


@pytest.fixture
def uow(customer: Customer) -> MemoryUnitOfWork:
    return MemoryUnitOfWork(customer)


async def test_a_request_is_kept_published_and_raises_the_version(
    uow: MemoryUnitOfWork, customer: Customer
) -> None:
    asked = await ask(uow, customer.id, 50_000)
    assert uow.customers.rows[customer.id].credit_request == CreditRequest(50_000, NOW)
    assert asked.version == 2
    assert uow.events == [
        CustomerUpdated(
            tenant_id=TENANT, sequence=1, customer_id=customer.id, changed=("credit_request",)
        )
    ]


async def test_the_same_request_again_changes_nothing_and_another_takes_its_place(
    uow: MemoryUnitOfWork, customer: Customer
) -> None:
    await ask(uow, customer.id, 50_000)
    assert (await ask(uow, customer.id, 50_000)).version == 2
    assert len(uow.events) == 1
    newest = await ask(uow, customer.id, 60_000)
    assert newest.credit_request == CreditRequest(60_000, NOW)


@pytest.mark.parametrize("wanted_cents", [0, 9_999, 10_000])
async def test_a_request_for_no_more_than_the_limit_is_refused(
    uow: MemoryUnitOfWork, customer: Customer, wanted_cents: int
) -> None:
    with pytest.raises(CreditRequestTooLow):
        await ask(uow, customer.id, wanted_cents)
    assert uow.events == []


async def test_a_new_limit_answers_the_request(uow: MemoryUnitOfWork, customer: Customer) -> None:
    await ask(uow, customer.id, 50_000)
    await set_limit(uow, customer.id, 2, 30_000)
    stored = uow.customers.rows[customer.id]
    assert (stored.credit_request, stored.credit.limit_cents) == (None, 30_000)


async def test_a_declined_request_stays_to_be_read_and_may_be_made_again(
    uow: MemoryUnitOfWork, customer: Customer
) -> None:
    await ask(uow, customer.id, 50_000)
    await decline(uow, customer.id, 2)
    assert uow.customers.rows[customer.id].credit_request == CreditRequest(50_000, NOW, NOW)
    again = await ask(uow, customer.id, 50_000)
    assert again.credit_request == CreditRequest(50_000, NOW)


async def test_only_the_open_request_that_was_seen_is_declined(
    uow: MemoryUnitOfWork, customer: Customer
) -> None:
    with pytest.raises(NoCreditRequest):
        await decline(uow, customer.id, 1)
    await ask(uow, customer.id, 50_000)
    await ask(uow, customer.id, 60_000)
    with pytest.raises(StaleVersion):
        await decline(uow, customer.id, 2)
    await decline(uow, customer.id, 3)
    with pytest.raises(NoCreditRequest):
        await decline(uow, customer.id, 4)


async def test_an_erased_customer_asks_for_nothing_any_more(
    uow: MemoryUnitOfWork, customer: Customer
) -> None:
    await ask(uow, customer.id, 50_000)
    await erase_customer(
        uow, ledger=MemoryLedger(), tenant_id=TENANT, customer_id=customer.id, now=NOW
    )
    assert uow.customers.rows[customer.id].credit_request is None
