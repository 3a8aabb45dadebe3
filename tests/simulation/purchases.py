"""What each service holds of a purchase, in the form that the rules of `./taskw verify` read."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from deploy.checker.snapshot import Purchase
from services.payouts.domain.payout import OF_AN_ORDER
from tests.simulation.workers import Workers
from tests.simulation.world import World
from tests.unit.payouts.memory import Transfer

Records = dict[UUID, Any]
"""By order id: rows that map a column's name to its value."""


@dataclass(frozen=True)
class Money:
    """The amounts (cents) that the gateway and the bank have moved, by order."""

    charges: Mapping[UUID, Sequence[int]]
    refunds: Mapping[UUID, Sequence[int]]
    transfers: Mapping[UUID, Sequence[Transfer]]

    @classmethod
    def moved_by(cls, workers: Workers) -> "Money":
        operations: dict[str, dict[UUID, list[int]]] = {"charge": {}, "refund": {}}
        for each in workers.gateway.operations.values():
            operations[each.kind].setdefault(each.order_id, []).append(each.amount_cents)
        transfers: dict[UUID, list[Transfer]] = defaultdict(list)
        for transfer in workers.bank.transfers.values():
            if transfer.external_id.startswith(OF_AN_ORDER):
                order_id = UUID(transfer.external_id.removeprefix(OF_AN_ORDER))
                transfers[order_id].append(transfer)
        return cls(operations["charge"], operations["refund"], transfers)


def purchases(world: World, money: Money) -> Iterator[Purchase]:
    """Every purchase that any service has a record of."""
    known = {
        "order": _orders(world),
        "credit": _credit(world),
        "reservation": _reservations(world),
        "payment": _payments(world, money),
        "payout": _payouts(world, money),
    }
    for order_id in dict.fromkeys(order_id for each in known.values() for order_id in each):
        yield Purchase(order_id, **{what: each.get(order_id) for what, each in known.items()})


def _orders(world: World) -> Records:
    return {
        order_id: {
            "tenant_id": each.tenant_id,
            "state": str(each.state),
            "total_cents": each.price_cents,
            "overdue": not world.is_ahead(each.due),
        }
        for order_id, each in world.purchases().items()
    }


def _credit(world: World) -> Records:
    known = world.rows("customers", "customers")
    return {
        order_id: {
            "tenant_id": each.tenant_id,
            "state": str(each.state),
            "customer_id": each.customer_id,
            "known": each.customer_id in known,
        }
        for order_id, each in world.rows("customers", "reservations").items()
    }


def _reservations(world: World) -> Records:
    listings = world.rows("vehicles", "vehicles")
    records: Records = {}
    for order_id, each in world.rows("vehicles", "reservations").items():
        listing = listings.get(each.vehicle_id)
        records[order_id] = {
            "tenant_id": each.tenant_id,
            "state": str(each.state),
            "vehicle_id": each.vehicle_id,
            "known": listing is not None,
            "seller_id": None if listing is None else listing.vehicle.seller_id,
        }
    return records


def _payments(world: World, money: Money) -> Records:
    rows = world.rows("payments", "payments")
    return {
        order_id: {
            "tenant_id": order_id in rows and rows[order_id].tenant_id,
            "state": str(rows[order_id].state) if order_id in rows else None,
            "settled": order_id in rows and rows[order_id].settled_by is not None,
            "charge_settled": order_id in rows and rows[order_id].charge_settled_by is not None,
            "needs_attention": order_id in rows and rows[order_id].needs_attention,
            "charges": len(money.charges.get(order_id, ())),
            "charged": min(money.charges.get(order_id, ()), default=None),
            "most_charged": max(money.charges.get(order_id, ()), default=None),
            "refunds": len(money.refunds.get(order_id, ())),
            "refunded": min(money.refunds.get(order_id, ()), default=None),
            "most_refunded": max(money.refunds.get(order_id, ()), default=None),
        }
        for order_id in dict.fromkeys([*rows, *money.charges, *money.refunds])
    }


def _payouts(world: World, money: Money) -> Records:
    rows = {each.order_id: each for each in world.rows("payouts", "payouts").values()}
    rows.pop(None, None)  # asked for by hand
    records: Records = {}
    for order_id in dict.fromkeys([*rows, *money.transfers]):
        payout, transfers = rows.get(order_id), money.transfers.get(order_id, ())
        paid = [each.amount_cents for each in transfers]
        sellers = [str(each.seller_id) for each in transfers]
        records[order_id] = {
            "tenant_id": payout and payout.tenant_id,
            "state": payout and str(payout.status),
            "seller_id": payout and payout.seller_id,
            "amount_cents": payout and payout.amount_cents,
            "told": payout is not None and payout.sequence > 0,
            "needs_attention": payout is not None and payout.needs_attention,
            "settled": payout is not None and payout.settled_by is not None,
            "transfers": len(transfers),
            "paid": min(paid, default=None),
            "most_paid": max(paid, default=None),
            "paid_to": min(sellers, default=None),
            "also_paid_to": max(sellers, default=None),
        }
    return records
