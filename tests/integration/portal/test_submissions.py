"""A submission shows its progress and its errors, and the same content is never
submitted twice at once.
"""

import asyncio
from typing import Any
from uuid import UUID

import pytest

from libs.kernel.clock import utc_now
from libs.kernel.ids import uuid7
from services.portal.application.begin_submission import begin_submission
from services.portal.application.finish_submission import finish_submission
from services.portal.application.hand_in_submission import hand_in_submission
from services.portal.application.note_rows import note_rows
from services.portal.domain.audit import Act
from services.portal.domain.errors import SubmissionFinished, SubmissionNotFound
from services.portal.domain.submission import RowError, Submission
from services.portal.domain.user import User
from services.portal.infrastructure.store.postgres import PostgresPortalUnitOfWork, Store
from tests.fixtures.services import ServiceClient
from tests.integration.portal.conftest import AddUser, execute, signed_in


async def hand_in(
    transactions: Store, user: User, content: bytes = b"rows", **changed: Any
) -> Submission:
    told = {"tenant_id": user.tenant_id, "kind": "vehicles", "name": "file.csv", **changed}

    async def work(uow: PostgresPortalUnitOfWork) -> Submission:
        submission = await hand_in_submission(
            uow,
            user_id=user.id,
            total=3,
            content=content,
            new_id=uuid7,
            now=utc_now(),
            **told,
        )
        await begin(uow, submission)
        return submission

    return await transactions.run(work)


async def begin(uow: PostgresPortalUnitOfWork, submission: Submission) -> None:
    await begin_submission(
        uow,
        act=Act(submission.tenant_id, str(submission.user_id), uuid7(), utc_now()),
        submission_id=submission.id,
    )


async def progress(transactions: Store, submission: Submission, *errors: RowError) -> None:
    await transactions.run(
        lambda uow: note_rows(
            uow,
            tenant_id=submission.tenant_id,
            submission_id=submission.id,
            succeeded=1,
            errors=errors,
        )
    )


async def finish(transactions: Store, submission: Submission, reason: str | None = None) -> None:
    await transactions.run(
        lambda uow: finish_submission(
            uow,
            act=Act(submission.tenant_id, str(submission.user_id), uuid7(), utc_now()),
            submission_id=submission.id,
            reason=reason,
        )
    )


async def test_progress_and_the_rows_that_failed_are_shown(
    portal: ServiceClient, add_user: AddUser, transactions: Store
) -> None:
    seller = await add_user("seller")
    submission = await hand_in(transactions, seller)
    await progress(transactions, submission, RowError(2, "year", "no-year"))
    await progress(transactions, submission)
    await finish(transactions, submission)
    await signed_in(portal, "seller@example.com")
    told = (await portal.get(f"/api/submissions/{submission.id}")).json()
    assert (told["status"], told["succeeded"], told["failed"], told["total"]) == ("DONE", 2, 1, 3)
    assert told["errors"] == [
        {
            "row": 2,
            "field": "year",
            "code": "no-year",
            "reason": "This is not a year, such as 2021.",
        }
    ]
    assert await transactions.run(lambda uow: uow.submissions.content(submission.id)) == b""


async def test_a_file_that_is_handed_in_is_in_no_table_in_clear(
    add_user: AddUser, transactions: Store, portal_database: str
) -> None:
    content = b"plate\nABC1D23\n"
    submission = await hand_in(transactions, await add_user("seller"), content)

    query = "SELECT convert_to(t::text, 'UTF8') AS row FROM submissions AS t"
    [row] = await execute(portal_database, query)
    assert str(submission.id).encode() in row["row"]
    for clear in (b"ABC1D23", b"ABC1D23".hex().encode()):
        assert clear not in row["row"]
    assert await transactions.run(lambda uow: uow.submissions.content(submission.id)) == content
    await finish(transactions, submission)
    assert await transactions.run(lambda uow: uow.submissions.content(submission.id)) == b""


async def test_a_file_that_an_earlier_release_took_in_is_read(
    add_user: AddUser, transactions: Store, portal_database: str
) -> None:
    submission = await hand_in(transactions, await add_user("seller"))
    await execute(
        portal_database, "UPDATE submissions SET content = 'old rows', sealed_content = NULL"
    )

    content = await transactions.run(lambda uow: uow.submissions.content(submission.id))
    assert content == b"old rows"


async def test_content_that_no_key_opens_is_read_as_empty(
    add_user: AddUser, transactions: Store, portal_database: str
) -> None:
    submission = await hand_in(transactions, await add_user("seller"))
    await execute(portal_database, "UPDATE submissions SET sealed_content = 'damaged'")

    assert await transactions.run(lambda uow: uow.submissions.content(submission.id)) == b""


async def test_the_same_content_is_one_submission_while_it_runs(
    add_user: AddUser, transactions: Store
) -> None:
    seller = await add_user("seller")
    made = await asyncio.gather(*(hand_in(transactions, seller) for _ in range(5)))
    assert len({each.id for each in made}) == 1
    assert (await hand_in(transactions, seller, b"other")).id != made[0].id
    await finish(transactions, made[0], reason="nobody could read it")
    again = await hand_in(transactions, seller)
    assert again.id != made[0].id
    await finish(transactions, again)
    assert (await hand_in(transactions, seller)).id not in (made[0].id, again.id)


async def test_submissions_take_turns_and_pause_when_interrupted(
    add_user: AddUser, transactions: Store
) -> None:
    seller = await add_user("seller")
    made = [await hand_in(transactions, seller, bytes([n])) for n in range(3)]

    async def turn() -> UUID | None:
        due = await transactions.run(lambda uow: uow.submissions.find_due("vehicles"))
        return None if due is None else due.id

    async def interrupt(submission_id: UUID) -> None:
        async def work(uow: PostgresPortalUnitOfWork) -> None:
            submission = await uow.submissions.lock(seller.tenant_id, submission_id)
            submission.interrupted()
            await uow.submissions.save(submission)

        await transactions.run(work)

    for each in made:
        assert await turn() == each.id
        await progress(transactions, each)
    assert await turn() == made[0].id
    for each in made:
        await interrupt(each.id)
    assert await turn() is None


async def test_the_same_content_of_another_seller_is_another_submission(
    add_user: AddUser, transactions: Store
) -> None:
    mine = await hand_in(transactions, await add_user("seller"))
    other = await add_user("seller", email="other@example.com")
    assert (await hand_in(transactions, other)).id != mine.id


async def test_many_are_handed_in_over_one_connection(
    add_user: AddUser, transactions: Store
) -> None:
    """From the sixth execution on, Postgres plans a prepared statement without its values."""
    seller = await add_user("seller")
    made = [await hand_in(transactions, seller, str(n).encode()) for n in range(8)]
    assert len({each.id for each in made}) == 8


async def test_a_finished_submission_stays_as_it_is(add_user: AddUser, transactions: Store) -> None:
    submission = await hand_in(transactions, await add_user("seller"))
    await finish(transactions, submission)
    with pytest.raises(SubmissionFinished):
        await progress(transactions, submission)
    with pytest.raises(SubmissionNotFound):
        await transactions.run(lambda uow: uow.submissions.get("elsewhere", submission.id))


async def test_a_seller_sees_the_own_ones_an_operator_all_a_buyer_none(
    portal: ServiceClient, add_user: AddUser, transactions: Store
) -> None:
    seller, other = await add_user("seller"), await add_user("seller", email="o@example.com")
    await add_user("operator")
    await add_user("buyer")
    await add_user("operator", email="foreign@example.com", tenant="elsewhere")
    own = await hand_in(transactions, seller)
    foreign = await hand_in(transactions, other, b"other")
    for email, seen in (
        ("seller@example.com", [own.id]),
        ("operator@example.com", [foreign.id, own.id]),
        ("foreign@example.com", []),
    ):
        await signed_in(portal, email)
        answer = (await portal.get("/api/submissions")).json()
        assert [UUID(each["id"]) for each in answer["items"]] == seen, email
        one = await portal.get(f"/api/submissions/{foreign.id}")
        assert one.status_code == (200 if foreign.id in seen else 404)
    await signed_in(portal, "buyer@example.com")
    assert (await portal.get("/api/submissions")).status_code == 403


async def test_submissions_come_page_by_page(
    portal: ServiceClient, add_user: AddUser, transactions: Store
) -> None:
    seller = await add_user("seller")
    made = [await hand_in(transactions, seller, bytes([n])) for n in range(3)]
    await signed_in(portal, "seller@example.com")
    first = (await portal.get("/api/submissions", params={"limit": 2})).json()
    rest = await portal.get("/api/submissions", params={"limit": 2, "cursor": first["next"]})
    ids = [UUID(each["id"]) for each in first["items"] + rest.json()["items"]]
    assert ids == [each.id for each in reversed(made)]
