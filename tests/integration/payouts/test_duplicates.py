"""An external id is paid once, however many requests name it, one after the other or at once."""

import asyncio

import asyncpg
import pytest
from sqlalchemy.exc import IntegrityError

from libs.kernel.ids import uuid7
from services.payouts.application.request_payout import request_payout
from services.payouts.domain.payout import Payout
from services.payouts.infrastructure.postgres import PostgresPayoutsUnitOfWork
from services.payouts.infrastructure.settings import PayoutsSettings
from tests.fixtures.polling import eventually
from tests.integration.payouts.conftest import Payouts

ROUNDS = 5
AT_ONCE = 12


def payout(payouts: Payouts, external_id: str, amount_cents: int = 1) -> Payout:
    return Payout(
        payout_id=uuid7(),
        tenant_id=payouts.tenant,
        external_id=external_id,
        amount_cents=amount_cents,
    )


async def test_second_request_is_a_duplicate_with_the_stored_amount(payouts: Payouts) -> None:
    first = await payouts.request("bonus-1", 1_000)
    second = await payouts.request("bonus-1", 2_000)
    assert (first.status_code, first.json()["status"]) == (201, "PENDING")
    assert second.status_code == 200
    assert second.json() == first.json() | {"status": "duplicate"}
    assert second.json()["amount_cents"] == 1_000
    assert second.headers["location"] == first.headers["location"] == "/payouts/bonus-1"
    await payouts.bank_turn()
    third = await payouts.request("bonus-1", 3_000)
    assert third.json()["status"] == "duplicate"
    await payouts.bank_turn()
    assert await payouts.transfers() == [(True, 1)]


async def test_requests_at_once_make_one_row_and_one_payment(payouts: Payouts) -> None:
    for round_ in range(ROUNDS):
        external_id = f"bonus-{round_}"
        answers = await asyncio.gather(
            *(payouts.request(external_id, amount) for amount in range(1, AT_ONCE + 1))
        )
        statuses = sorted(answer.status_code for answer in answers)
        assert statuses == [200] * (AT_ONCE - 1) + [201]
        (first,) = [answer for answer in answers if answer.status_code == 201]
        stored = await payouts.record(external_id)
        assert stored["amount_cents"] == first.json()["amount_cents"]
        assert {answer.json()["payout_id"] for answer in answers} == {str(stored["payout_id"])}
        assert {answer.json()["amount_cents"] for answer in answers} == {stored["amount_cents"]}
    await payouts.bank_turn()
    assert await payouts.transfers() == [(True, 1)] * ROUNDS


async def test_request_that_meets_an_uncommitted_one_waits_and_is_its_duplicate(
    payouts: Payouts,
) -> None:
    """Both requests find no row, so the query before the insert cannot decide."""
    transactions = payouts.client.service.transactions
    second = payout(payouts, "bonus-1", amount_cents=2)
    waiting: list[asyncio.Task[Payout]] = []

    async def hold(uow: PostgresPayoutsUnitOfWork) -> None:
        assert not await uow.payouts.was_processed(payouts.tenant, "bonus-1")
        assert await uow.payouts.add(payout(payouts, "bonus-1"))
        running = transactions.run(lambda other: request_payout(other, payout=second))
        waiting.append(asyncio.create_task(running))
        await eventually(payouts.client.somebody_waits_for_a_lock)

    await transactions.run(hold)
    (stored,) = await asyncio.gather(*waiting)
    assert (stored.amount_cents, stored is second) == (1, False)
    assert len(await payouts.client.rows("SELECT 1 FROM payouts")) == 1


async def test_request_that_was_rolled_back_leaves_the_id_free(payouts: Payouts) -> None:
    async def fail(uow: PostgresPayoutsUnitOfWork) -> None:
        assert await uow.payouts.add(payout(payouts, "bonus-1"))
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await payouts.client.service.transactions.run(fail)
    assert (await payouts.request("bonus-1")).status_code == 201


async def test_repository_says_what_was_processed_and_adds_it_once(payouts: Payouts) -> None:
    first, again = payout(payouts, "bonus-1"), payout(payouts, "bonus-1")

    async def work(uow: PostgresPayoutsUnitOfWork) -> list[bool]:
        return [
            await uow.payouts.was_processed(payouts.tenant, "bonus-1"),
            await uow.payouts.add(first),
            await uow.payouts.was_processed(payouts.tenant, "bonus-1"),
            await uow.payouts.add(again),
            await uow.payouts.was_processed("another", "bonus-1"),
        ]

    assert await payouts.client.service.transactions.run(work) == [False, True, True, False, False]


async def test_the_database_itself_refuses_a_second_row(
    payouts: Payouts, settings: PayoutsSettings
) -> None:
    """It refuses another version of the service, and a person with psql, too."""
    await payouts.request("bonus-1")
    with pytest.raises(IntegrityError, match="ix_payouts_tenant_id_external_id") as refused:
        await payouts.client.execute(
            "INSERT INTO payouts (payout_id, tenant_id, external_id, amount_cents, status,"
            " attempts, version, sequence, next_attempt)"
            " SELECT gen_random_uuid(), tenant_id, external_id, 2, status, 0, 1, 0, now()"
            " FROM payouts"
        )
    assert getattr(refused.value.orig, "sqlstate", None) == asyncpg.UniqueViolationError.sqlstate


async def test_two_tenants_may_use_the_same_id(payouts: Payouts) -> None:
    elsewhere = payouts.caller("admin", tenant="another")
    assert (await payouts.request("bonus-1")).status_code == 201
    assert (await payouts.request("bonus-1", headers=elsewhere)).status_code == 201


async def test_same_idempotency_key_gives_the_first_answer_again(payouts: Payouts) -> None:
    headers = payouts.admin | {"Idempotency-Key": uuid7().hex}
    first = await payouts.request("bonus-1", headers=headers)
    again = await payouts.request("bonus-1", headers=headers)
    assert (again.status_code, again.content) == (201, first.content)
    assert again.headers["idempotency-replayed"] == "true"


async def test_closed_order_consumed_many_times_at_once_is_paid_once(payouts: Payouts) -> None:
    order_id, seller_id = uuid7(), uuid7()
    await asyncio.gather(*(payouts.closed(order_id, seller_id) for _ in range(AT_ONCE)))
    await payouts.bank_turn()
    assert len(await payouts.client.rows("SELECT 1 FROM payouts")) == 1
    assert await payouts.transfers() == [(True, 1)]
    assert await payouts.client.types(order_id) == ["payout.completed.v1"]
