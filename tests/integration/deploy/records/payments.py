from tests.integration.deploy.purchases import PRICE, TENANT, Purchase, Statements, identifier

PAYMENT = """
    INSERT INTO payments (order_id, payment_id, tenant_id, state, amount_cents,
        cancellation_requested, next_attempt, attempts, version, sequence)
    VALUES ($1, gen_random_uuid(), $2, $3::text, $4, false,
        CASE WHEN $3 = 'REFUND_FAILED' THEN now() END, 1, 1, 1)"""
OPERATION = """
    INSERT INTO sandbox_operations (key, kind, order_id, amount_cents, method, outcome, calls)
    VALUES ($1::uuid::text || $2::text, $2, $1, $3, 'tok_approve', 'approved', 1)"""


def records(name: str, purchase: Purchase) -> Statements:
    if purchase.payment is not None:
        yield PAYMENT, identifier(name), TENANT, purchase.payment, PRICE
    for kind in purchase.operations:
        yield OPERATION, identifier(name), kind, PRICE
