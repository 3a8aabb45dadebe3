from tests.integration.deploy.purchases import PRICE, TENANT, Purchase, Statements, identifier

PAYOUT = """
    INSERT INTO payouts (payout_id, tenant_id, external_id, order_id, seller_id, amount_cents,
        status, attempts, version, sequence)
    VALUES (gen_random_uuid(), $1, 'order:' || $2::uuid::text, $2, $3, $4, $5, 1, 1, 1)"""
TRANSFER = """
    INSERT INTO sandbox_transfers (key, external_id, seller_id, amount_cents, paid, calls)
    VALUES ($1::uuid::text, 'order:' || $1, $2, $3, $4, 1)"""


def records(name: str, purchase: Purchase) -> Statements:
    if purchase.payout is not None:
        seller, state = identifier(name, "seller"), purchase.payout
        yield PAYOUT, TENANT, identifier(name), seller, PRICE, state
        yield TRANSFER, identifier(name), seller, PRICE, state == "PAID"
