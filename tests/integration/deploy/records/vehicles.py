from tests.integration.deploy.purchases import PRICE, TENANT, Purchase, Statements, identifier

VEHICLE = """
    INSERT INTO vehicles (id, tenant_id, seller_id, make, model, year, colour, price_cents, plate,
        plate_index, chassis_number, chassis_number_index, renavam, renavam_index, is_reserved,
        is_sold, version, sequence)
    SELECT $1, $2, $5, 'Fiat', 'Uno', 2020, 'azul', $3, x, x, x, x, x, x,
           $4::text IS NOT DISTINCT FROM 'RESERVED', $4 IS NOT DISTINCT FROM 'SOLD', 1, 1
      FROM (SELECT uuid_send($1::uuid) AS x) AS bytes"""
RESERVATION = """
    INSERT INTO reservations (order_id, tenant_id, vehicle_id, customer_id, state, sequence)
    VALUES ($1, $2, $3, $4, $5, 1)"""


def records(name: str, purchase: Purchase) -> Statements:
    vehicle, state = identifier(name, "vehicle"), purchase.vehicle
    yield VEHICLE, vehicle, TENANT, PRICE, state, identifier(name, "seller")
    if state is not None:
        customer = identifier(name, "customer")
        yield RESERVATION, identifier(name), TENANT, vehicle, customer, state
