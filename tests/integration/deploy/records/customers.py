from tests.integration.deploy.purchases import PRICE, TENANT, Purchase, Statements, identifier

CUSTOMER = """
    INSERT INTO customers (id, tenant_id, version, sequence, name, email, phone, document, data_key,
        document_index, email_index, limit_cents, reserved_cents, consumed_cents, available_cents,
        created_at, updated_at)
    SELECT $1, $2, 1, 1, x, x, x, x, x, x, x, $3, $4, $5, $3::bigint - $4::bigint - $5::bigint,
           now(), now()
      FROM (SELECT uuid_send($1::uuid) AS x) AS bytes"""
CREDIT = """
    INSERT INTO credit_reservations (order_id, tenant_id, customer_id, total_cents, state, sequence)
    VALUES ($1, $2, $3, $4, $5, 1)"""


def records(name: str, purchase: Purchase) -> Statements:
    customer = identifier(name, "customer")
    reserved = PRICE if purchase.credit == "RESERVED" else 0
    consumed = PRICE if purchase.credit == "CONSUMED" else 0
    yield CUSTOMER, customer, TENANT, 2 * PRICE, reserved, consumed
    yield CREDIT, identifier(name), TENANT, customer, PRICE, purchase.credit
