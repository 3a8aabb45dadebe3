"""The checker reports money that is kept, refunded or paid out wrongly."""

import pytest

from tests.integration.deploy.rules import MONEY, NOTHING_HELD, SELLERS, Break, assert_turns_red
from tests.integration.deploy.spoilt import Spoilt

BREAKS = (
    Break(
        "code of a failed purchase still to be paid",
        "payments",
        "UPDATE payments SET state = 'PENDING' WHERE order_id = '{declined}'",
        "order {declined} is FAILED, its payment is PENDING",
        {NOTHING_HELD},
    ),
    Break(
        "payment of a failed purchase processed",
        "payments",
        "UPDATE payments SET state = 'PROCESSED' WHERE order_id = '{declined}'",
        "order {declined}: its payment is kept, but it is FAILED",
        {MONEY, NOTHING_HELD},
    ),
    Break(
        "completed purchase without a payment",
        "payments",
        "DELETE FROM payments WHERE order_id = '{completed}'",
        "order {completed} is COMPLETED, its payment is missing",
        {MONEY},
    ),
    Break(
        "completed purchase never charged",
        "payments",
        "DELETE FROM sandbox_operations WHERE order_id = '{completed}'",
        "order {completed} is COMPLETED, but 0 of its charges are kept",
        {MONEY},
    ),
    Break(
        "charged twice",
        "payments",
        "INSERT INTO sandbox_operations SELECT 'again', kind, order_id, amount_cents, method,"
        " outcome, calls FROM sandbox_operations WHERE order_id = '{closed}'",
        "order {closed}: charged 2 times",
        {MONEY},
    ),
    Break(
        "refunded twice",
        "payments",
        "INSERT INTO sandbox_operations SELECT 'again', kind, order_id, amount_cents, method,"
        " outcome, calls FROM sandbox_operations WHERE order_id = '{cancelled}' AND kind='refund'",
        "order {cancelled}: refunded 2 times",
        {MONEY},
    ),
    Break(
        "refunded by the gateway and by hand",
        "payments",
        "UPDATE payments SET settled_by = 'ana' WHERE order_id = '{cancelled}'",
        "order {cancelled}: refunded 2 times",
        {MONEY},
    ),
    Break(
        "charge of a cancelled purchase kept",
        "payments",
        "DELETE FROM sandbox_operations WHERE order_id = '{cancelled}' AND kind = 'refund'",
        "order {cancelled} is CANCELLED, but 1 of its charges are kept",
        {MONEY},
    ),
    Break(
        "refund refused by the gateway, yet taken for done",
        "payments",
        "UPDATE sandbox_operations SET outcome = 'nothing'"
        " WHERE order_id = '{cancelled}' AND kind = 'refund'",
        "order {cancelled} is CANCELLED, but 1 of its charges are kept",
        {MONEY},
    ),
    Break(
        "refund of another amount",
        "payments",
        "UPDATE sandbox_operations SET amount_cents = amount_cents - 1"
        " WHERE order_id = '{cancelled}' AND kind = 'refund'",
        "order {cancelled}: refund of another amount",
        {MONEY},
    ),
    Break(
        "charge of another amount",
        "payments",
        "UPDATE sandbox_operations SET amount_cents = amount_cents + 1 WHERE order_id = '{closed}'",
        "order {closed}: charge of another amount",
        {MONEY},
    ),
    Break(
        "charge without a payment",
        "payments",
        "INSERT INTO sandbox_operations"
        " VALUES ('stray', 'charge', '{nobody}', 1, 'tok_approve', 'approved', 1)",
        "order {nobody} is unknown, but 1 of its charges are kept",
        {MONEY},
    ),
    Break(
        "closed purchase without a payout",
        "payouts",
        "DELETE FROM payouts WHERE order_id = '{payout_failed}'",
        "order {payout_failed} is CLOSED, its payout is missing",
        {SELLERS},
    ),
    Break(
        "seller's payout resting half-way",
        "payouts",
        "UPDATE payouts SET status = 'PENDING', next_attempt = now() WHERE order_id = '{closed}'",
        "order {closed} is CLOSED, its payout is PENDING",
        {SELLERS},
    ),
    Break(
        "payout that failed without a word",
        "payouts",
        "UPDATE payouts SET sequence = 0 WHERE order_id = '{payout_failed}'",
        "order {payout_failed}: its payout is FAILED, and nobody was told",
        {SELLERS},
    ),
    Break(
        "seller paid before the vehicle was picked up",
        "orders",
        "UPDATE orders SET state = 'COMPLETED' WHERE id = '{closed}'",
        "order {closed} is COMPLETED, but has a payout",
        {SELLERS},
    ),
    Break(
        "payout of another amount",
        "payouts",
        "UPDATE payouts SET amount_cents = amount_cents + 1 WHERE order_id = '{closed}'",
        "order {closed}: payout of another amount",
        {SELLERS},
    ),
    Break(
        "payout to another seller",
        "payouts",
        "UPDATE payouts SET seller_id = '{completed_seller}' WHERE order_id = '{closed}'",
        "order {closed}: payout to another seller",
        {SELLERS},
    ),
    Break(
        "transfer of another amount",
        "payouts",
        "UPDATE sandbox_transfers SET amount_cents = 1 WHERE key = '{closed}'",
        "order {closed}: bank's transfer of another amount",
        {SELLERS},
    ),
    Break(
        "transfer to another seller",
        "payouts",
        "UPDATE sandbox_transfers SET seller_id = NULL WHERE key = '{closed}'",
        "order {closed}: bank's transfer to another seller",
        {SELLERS},
    ),
    Break(
        "seller paid twice by the bank",
        "payouts",
        "INSERT INTO sandbox_transfers SELECT 'again', external_id, seller_id, amount_cents, paid,"
        " calls FROM sandbox_transfers WHERE key = '{closed}'",
        "order {closed}: the bank paid 2 times, its payout is PAID",
        {SELLERS},
    ),
    Break(
        "payout taken for done that the bank never made",
        "payouts",
        "DELETE FROM sandbox_transfers WHERE key = '{closed}'",
        "order {closed}: the bank paid 0 times, its payout is PAID",
        {SELLERS},
    ),
    Break(
        "failed payout that the bank made all the same",
        "payouts",
        "UPDATE sandbox_transfers SET paid = true WHERE key = '{payout_failed}'",
        "order {payout_failed}: the bank paid 1 times, its payout is FAILED",
        {SELLERS},
    ),
    Break(
        "transfer without a payout",
        "payouts",
        "INSERT INTO sandbox_transfers VALUES ('stray', 'order:{nobody}', NULL, 1, true, 1)",
        "order {nobody}: the bank paid 1 times, its payout is missing",
        {SELLERS},
    ),
)


@pytest.mark.parametrize("case", BREAKS, ids=lambda case: case.name)
async def test_a_broken_rule_turns_red_and_names_what_it_is_about(
    spoilt: Spoilt, case: Break
) -> None:
    await assert_turns_red(spoilt, case)
