"""Each row of a file of vehicles is imported once, whatever interrupts the import."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from libs.kernel.ids import uuid7
from services.portal.application.import_vehicles import (
    AT_ONCE,
    GAVE_UP,
    KIND,
    NO_SELLER,
    VehicleImports,
)
from services.portal.domain.errors import UserNotFound
from services.portal.domain.submission import (
    MOST_ATTEMPTS,
    RowError,
    Submission,
    SubmissionStatus,
)
from services.portal.domain.user import User
from services.portal.domain.vehicle_file import VehicleFile, VehicleRow, read_vehicle_file

HEADER = "make,model,year,colour,price_cents,plate,chassis_number,renavam"
NOW = datetime(2026, 11, 22, tzinfo=UTC)


class Down(Exception):
    pass


class World:
    """A `World` fakes the unit of work, its repositories and the transactions, with one user."""

    def __init__(self, *lines: str, roles: frozenset[str] = frozenset({"seller"})) -> None:
        self.bytes = "\n".join([HEADER, *lines]).encode()
        total = read_vehicle_file(self.bytes).total if lines else 0
        self.user: User | None = User(
            uuid7(), "t", "Ana", "ana@example.com", roles, None, "en", "", NOW
        )
        self.submission = Submission(uuid7(), "t", KIND, self.user.id, "a.csv", total, NOW)
        self.submission.begin()
        self.saved = {self.submission.id: self.submission}
        self.turns: list[UUID] = []
        self.audits = self.submissions = self.users = self
        self.put_rows: list[int] = []
        self.down_at: int | None = None
        self.poisoned: UUID | None = None

    async def run(self, work: Callable[[Any], Awaitable[Any]]) -> Any:
        return await work(self)

    def another(self) -> Submission:
        first = self.submission
        other = Submission(uuid7(), "t", KIND, first.user_id, "b.csv", first.total, NOW)
        other.begin()
        self.saved[other.id] = other
        return other

    async def find_due(self, kind: str) -> Submission | None:
        """Return the one that was written longest ago. All are due at once."""
        running = [s for s in self.saved.values() if s.status is SubmissionStatus.RUNNING]
        if kind != KIND or not running:
            return None
        self.turns.append(running[0].id)
        return Submission(**{**vars(running[0]), "errors": []})

    async def content(self, submission_id: UUID) -> bytes:
        return self.bytes

    async def get(self, tenant_id: str, user_id: UUID) -> User:
        if self.user is None:
            raise UserNotFound("no such user")
        return self.user

    async def lock(self, tenant_id: str, submission_id: UUID) -> Submission:
        return self.saved[submission_id]

    async def save(self, submission: Submission) -> None:
        self.saved.pop(submission.id)
        self.saved[submission.id] = submission

    async def add(self, entry: Any, audit_id: UUID) -> Any:
        return None

    async def put(
        self, user: User, submission_id: UUID, rows: Sequence[VehicleRow]
    ) -> list[RowError]:
        if submission_id == self.poisoned:
            raise Down
        if self.down_at is not None and len(self.put_rows) >= self.down_at:
            raise Down
        self.put_rows += [row.row for row in rows]
        return [
            RowError(row.row, "plate", "refused", {"sentence": "It is on the market already."})
            for row in rows
            if row.values["plate"] == "TAKEN"
        ]

    def imports(self) -> VehicleImports:
        return VehicleImports(self, self, clock=lambda: NOW, new_id=uuid7)

    async def through(self) -> Submission:
        imports = self.imports()
        while await imports.turn():
            pass
        return self.submission


def line(number: int, plate: str = "", year: str = "2022") -> str:
    return f"Fiat,Uno,{year},red,{1000 + number},{plate or number},9BD{number},{number}"


async def test_good_rows_are_put_on_the_market_and_bad_ones_listed() -> None:
    world = World(line(1), line(2, year="soon"), line(3, plate="TAKEN"))
    submission = await world.through()
    assert submission.status is SubmissionStatus.DONE
    assert (submission.succeeded, submission.failed) == (1, 2)
    assert [(error.row, error.field) for error in submission.errors] == [(3, "year"), (4, "plate")]


async def test_a_file_that_was_interrupted_goes_on_where_it_was() -> None:
    world = World(*(line(number) for number in range(3 * AT_ONCE)))
    world.down_at = AT_ONCE
    imports = world.imports()
    for _ in range(3):
        await imports.turn()
    assert (world.submission.done, world.submission.attempts) == (AT_ONCE, 2)
    world.down_at = None
    submission = await world.through()
    assert submission.succeeded == 3 * AT_ONCE
    assert world.put_rows == list(range(2, 3 * AT_ONCE + 2))
    assert submission.attempts == 0


async def test_an_import_that_cannot_go_on_ends_with_its_reason_and_holds_up_no_other() -> None:
    world = World(*(line(number) for number in range(3 * AT_ONCE)))
    other = world.another()
    world.poisoned = world.submission.id
    poisoned = await world.through()
    assert (poisoned.status, poisoned.done) == (SubmissionStatus.FAILED, 0)
    assert poisoned.reason == GAVE_UP
    assert world.turns.count(poisoned.id) == MOST_ATTEMPTS
    assert (other.status, other.succeeded) == (SubmissionStatus.DONE, 3 * AT_ONCE)
    last_of_the_other = len(world.turns) - world.turns[::-1].index(other.id)
    assert last_of_the_other < 10, "they take turns"


async def test_the_pause_grows_up_to_a_minute() -> None:
    submission = World(line(1)).submission
    pauses = []
    while submission.interrupted():
        pauses.append(submission.pause.total_seconds())
    assert pauses[:7] == [1, 2, 4, 8, 16, 32, 60]
    assert (set(pauses[6:]), len(pauses)) == ({60}, MOST_ATTEMPTS - 1)


async def test_a_file_is_read_once_for_the_whole_import(monkeypatch: pytest.MonkeyPatch) -> None:
    world, read = World(*(line(number) for number in range(10 * AT_ONCE))), []

    def reading(content: bytes) -> VehicleFile:
        read.append(content)
        return read_vehicle_file(content)

    module = "services.portal.application.import_vehicles"
    monkeypatch.setattr(f"{module}.read_vehicle_file", reading)
    assert (await world.through()).succeeded == 10 * AT_ONCE
    assert len(read) == 1


async def test_a_file_of_bad_rows_only_ends_without_a_call_to_vehicles() -> None:
    world = World(line(1, year="soon"))
    submission = await world.through()
    assert (submission.status, submission.failed) == (SubmissionStatus.DONE, 1)
    assert world.put_rows == []


@pytest.mark.parametrize("gone", [True, False])
async def test_nothing_is_listed_for_somebody_who_may_not_sell_any_more(gone: bool) -> None:
    world = World(line(1), roles=frozenset({"buyer"}))
    if gone:
        world.user = None
    submission = await world.through()
    assert submission.status is SubmissionStatus.FAILED
    assert submission.reason == NO_SELLER
    assert world.put_rows == []


async def test_progress_counts_once_when_two_processes_go_on_with_one_file() -> None:
    world = World(*(line(number) for number in range(AT_ONCE)))
    put = world.put

    async def overtaken(
        user: User, submission_id: UUID, rows: Sequence[VehicleRow]
    ) -> list[RowError]:
        world.submission.note_rows(len(rows), [])
        return await put(user, submission_id, rows)

    world.put = overtaken  # type: ignore[method-assign]
    assert await world.imports().turn()
    assert (world.submission.done, world.submission.attempts) == (AT_ONCE, 0)


@pytest.mark.parametrize("rows_left", [True, False])
async def test_a_file_that_another_process_finishes_meanwhile_is_no_failure(
    rows_left: bool,
) -> None:
    world = World(*(line(number) for number in range(AT_ONCE)))
    if not rows_left:
        world.submission.note_rows(AT_ONCE, [])
    get = world.get

    async def overtaken(tenant_id: str, user_id: UUID) -> User:
        world.submission.finish(NOW)
        world.down_at = 0
        return await get(tenant_id, user_id)

    world.get = overtaken  # type: ignore[method-assign]
    assert await world.imports().turn()
    assert world.submission.status is SubmissionStatus.DONE
