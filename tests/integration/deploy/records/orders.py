from tests.integration.deploy.purchases import PRICE, TENANT, Purchase, Statements, identifier

ORDER = """
    INSERT INTO orders (id, tenant_id, customer_id, vehicle_id, total_cents, status, version,
        created_at, state, due_at)
    VALUES ($1, $2, $3, $4, $5, 'confirmed', 1, now() - interval '1 hour', $6::text,
        CASE WHEN $6 = 'AWAITING_PAYMENT' THEN now() + interval '1 hour' END)"""


def records(name: str, purchase: Purchase) -> Statements:
    customer, vehicle = identifier(name, "customer"), identifier(name, "vehicle")
    yield ORDER, identifier(name), TENANT, customer, vehicle, PRICE, purchase.order
