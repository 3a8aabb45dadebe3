"""Passwords are hashed a few at a time, whatever becomes of the requests that ask for it."""

import asyncio
import threading

import pytest

from services.portal.infrastructure.identity import passwords
from services.portal.infrastructure.identity.passwords import AT_ONCE, Argon2Passwords
from tests.fixtures.polling import eventually


class Slow:
    """A `Slow` hasher ends its hashes when `goes_on` is set."""

    def __init__(self) -> None:
        self.goes_on = threading.Event()
        self.running = self.most = 0
        self._counting = threading.Lock()

    def hash(self, password: str) -> str:
        with self._counting:
            self.running += 1
            self.most = max(self.most, self.running)
        self.goes_on.wait(10)
        with self._counting:
            self.running -= 1
        return password


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> Slow:
    hasher = Slow()
    monkeypatch.setattr(passwords, "PasswordHasher", lambda: hasher)
    return hasher


async def test_a_hash_whose_request_is_gone_keeps_its_place_until_it_ends(slow: Slow) -> None:
    of_all = Argon2Passwords()
    hashes = [asyncio.create_task(of_all.hash(str(n))) for n in range(AT_ONCE + 1)]

    async def all_places_are_taken() -> bool:
        return slow.running == AT_ONCE

    await eventually(all_places_are_taken)
    hashes[0].cancel()
    for _ in range(3):
        await asyncio.to_thread(lambda: None)  # the next hash could begin now
    slow.goes_on.set()
    assert await hashes[-1] == str(AT_ONCE)
    assert slow.most == AT_ONCE


def test_one_event_loop_after_another_waits_for_a_place(slow: Slow) -> None:
    of_all = Argon2Passwords()
    slow.goes_on.set()

    async def several() -> list[str]:
        return await asyncio.gather(*(of_all.hash(str(n)) for n in range(AT_ONCE + 1)))

    assert [len(asyncio.run(several())) for _ in range(2)] == [AT_ONCE + 1] * 2
