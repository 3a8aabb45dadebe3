"""Users, submissions and purchases keep their rules."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from libs.kernel.ids import uuid7
from libs.messaging.saga.choreography import read
from libs.runtime.settings import CHOREOGRAPHY
from services.portal.domain.errors import (
    CustomerLinked,
    InvalidUser,
    NothingKept,
    SubmissionFinished,
)
from services.portal.domain.submission import MAX_ERRORS, RowError, Submission, SubmissionStatus
from services.portal.domain.timeline import (
    STAGES,
    STATE_AFTER,
    STUCK_AFTER,
    TURNING,
    Purchase,
    PurchaseState,
)
from services.portal.domain.user import (
    User,
    check_password,
    known_locale,
    known_roles,
    normal_email,
    normal_name,
    words_of,
)
from services.portal.infrastructure.consumers import OF_A_PAYOUT, OF_A_PURCHASE

NOW = datetime(2026, 11, 22, tzinfo=UTC)


def submission(total: int = 3) -> Submission:
    return Submission(uuid7(), "t", "vehicles", uuid7(), "file.csv", total, NOW)


def test_a_users_input_is_brought_to_one_form() -> None:
    assert normal_name("  Ana   Silva ") == "Ana Silva"
    assert normal_email("Ana@Example.COM") == "ana@example.com"
    assert known_roles(["buyer", "buyer"]) == {"buyer"}


@pytest.mark.parametrize("password", ["short", "x" * 129, "ana@example.com", "ANA@example.com"])
def test_a_weak_password_is_refused_without_repeating_it(password: str) -> None:
    with pytest.raises(InvalidUser) as refused:
        check_password(password, email="ana@example.com")
    assert refused.value.field == "password"
    assert password not in str(refused.value)


def test_an_invalid_name_e_mail_role_or_language_is_refused_with_its_field() -> None:
    for check, field in (
        (lambda: normal_name(" "), "name"),
        (lambda: normal_name("a\nb\x00"), "name"),
        (lambda: normal_email("ana@"), "email"),
        (lambda: known_roles([]), "roles"),
        (lambda: known_roles(["root"]), "roles"),
        (lambda: known_locale("xx"), "locale"),
    ):
        with pytest.raises(InvalidUser) as refused:
            check()
        assert refused.value.field == field


def test_a_users_repr_names_nobody() -> None:
    user = User(uuid7(), "t", "Ana", "a@b.co", frozenset({"buyer"}), None, "en", "hash", NOW)
    assert not {"Ana", "a@b.co", "hash"} & set(repr(user).replace("'", " ").split())


def test_a_user_is_linked_to_one_customer_for_good() -> None:
    user = User(uuid7(), "t", "Ana", "a@b.co", frozenset({"buyer"}), None, "en", "hash", NOW)
    customer_id = uuid7()
    user.link_customer(customer_id)
    user.link_customer(customer_id)
    with pytest.raises(CustomerLinked):
        user.link_customer(uuid7())


def test_a_submission_counts_rows_not_errors_and_ends_once() -> None:
    work = submission()
    work.begin()
    work.note_rows(1, [RowError(2, "year", "bad"), RowError(2, "price", "bad")])
    assert (work.succeeded, work.failed, work.done) == (1, 1, 2)
    work.finish(NOW)
    assert (work.status, work.finished_at) == (SubmissionStatus.DONE, NOW)
    with pytest.raises(SubmissionFinished):
        work.note_rows(1, [])
    with pytest.raises(SubmissionFinished):
        work.finish(NOW, "again")


def test_a_submission_waits_for_a_word_and_begins_once() -> None:
    work = submission()
    with pytest.raises(SubmissionFinished):
        work.note_rows(1, [])
    assert work.begin()
    assert work.status is SubmissionStatus.RUNNING
    assert not work.begin()


def test_a_submission_keeps_no_endless_list_of_errors() -> None:
    work = submission(MAX_ERRORS + 5)
    work.begin()
    work.note_rows(0, [RowError(n, "", "bad") for n in range(MAX_ERRORS + 5)])
    work.note_rows(0, [RowError(n, "", "bad") for n in range(2000, 2010)])
    assert (len(work.errors), work.failed) == (MAX_ERRORS, MAX_ERRORS + 15)


def purchase(
    state: PurchaseState, *, payout: bool = False, seller: bool = True, **more: Any
) -> Purchase:
    seller_id = uuid7() if seller else None
    return Purchase(uuid7(), "t", uuid7(), seller_id, state, 1, NOW, payout, NOW, **more)


def test_a_purchase_is_finished_when_nothing_more_is_to_come() -> None:
    finished = {state: purchase(state).is_finished for state in PurchaseState}
    assert {state for state, done in finished.items() if done} == {
        PurchaseState.FAILED,
        PurchaseState.CANCELLED,
    }
    assert purchase(PurchaseState.CLOSED, payout=True).is_finished
    assert purchase(PurchaseState.CLOSED, seller=False).is_finished


def test_an_open_purchase_is_in_the_phase_of_its_furthest_step_until_it_turns_back() -> None:
    assert [purchase(PurchaseState.OPEN, stage=n).phase for n in range(5)] == list(STAGES)
    assert purchase(PurchaseState.OPEN, stage=4, turned_back=True).phase == "COMPENSATING"
    assert purchase(PurchaseState.GIVEN_UP, stage=2).phase == "COMPENSATING"
    assert purchase(PurchaseState.FAILED, stage=2, turned_back=True).phase == "FAILED"


def test_a_purchase_is_stuck_when_a_step_of_seconds_has_not_come_for_minutes() -> None:
    later = NOW + STUCK_AFTER + timedelta(seconds=1)
    assert {each for each in PurchaseState if purchase(each).is_stuck(later)} == {
        PurchaseState.OPEN,
        PurchaseState.GIVEN_UP,
        PurchaseState.CLOSED,
    }
    assert not purchase(PurchaseState.OPEN).is_stuck(NOW + STUCK_AFTER)
    assert not purchase(PurchaseState.CLOSED, payout=True).is_stuck(later)
    pays = purchase(PurchaseState.OPEN, stage=3, pays_until=NOW + timedelta(hours=1))
    assert not pays.is_stuck(later)
    assert pays.is_stuck(later + timedelta(hours=1))


def test_each_event_that_turns_a_purchase_back_here_does_so_in_orders() -> None:
    """`TURNING` in services/portal/domain/timeline.py is compared with the reactions of orders."""
    orders = read(CHOREOGRAPHY).participant("orders")
    assert orders is not None
    turning = {
        each.event_type
        for each in orders.consumes
        if each.does in ("turn purchase back", "end purchase")
    }
    assert TURNING - {"order.cancellation_requested.v1"} == turning


def test_the_words_of_a_name_are_found_without_accents_and_in_any_case() -> None:
    assert words_of("  João  D'Ávila-Souza ") == {"joao", "d", "avila", "souza"}
    assert words_of("  ") == frozenset()


def test_a_disabled_user_gets_the_password_back_when_enabled() -> None:
    user = User(uuid7(), "t", "Ana", "a@example.com", frozenset({"buyer"}), None, "en", "hash", NOW)
    user.disable()
    user.disable()
    assert (user.is_disabled, user.can_be_enabled) == (True, True)
    user.enable()
    assert (user.is_disabled, user.password_hash, user.kept_hash) == (False, "hash", None)
    user.disable()
    user.set_password("new")
    assert not user.is_disabled
    with pytest.raises(NothingKept):
        user.enable()


def test_every_event_that_goes_back_or_gives_a_state_is_one_the_portal_consumes() -> None:
    consumed = {*OF_A_PURCHASE, *OF_A_PAYOUT}
    assert consumed >= read(CHOREOGRAPHY).compensations
    assert consumed >= STATE_AFTER.keys()
