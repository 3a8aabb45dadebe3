"""Holds the amounts that the gateway and the bank have moved."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from services.payouts.domain.payout import OF_AN_ORDER
from tests.unit.payments.memory import MemoryGateway
from tests.unit.payouts.memory import MemoryBank, Transfer


@dataclass(frozen=True)
class Money:
    """`Money` is in cents, by order."""

    charges: Mapping[UUID, Sequence[int]]
    refunds: Mapping[UUID, Sequence[int]]
    transfers: Mapping[UUID, Sequence[Transfer]]

    @classmethod
    def moved_by(cls, gateway: MemoryGateway, bank: MemoryBank) -> "Money":
        operations: dict[str, dict[UUID, list[int]]] = {"charge": {}, "refund": {}}
        for each in gateway.operations.values():
            operations[each.kind].setdefault(each.order_id, []).append(each.amount_cents)
        transfers: dict[UUID, list[Transfer]] = defaultdict(list)
        for transfer in bank.transfers.values():
            if transfer.external_id.startswith(OF_AN_ORDER):
                order_id = UUID(transfer.external_id.removeprefix(OF_AN_ORDER))
                transfers[order_id].append(transfer)
        return cls(operations["charge"], operations["refund"], transfers)
