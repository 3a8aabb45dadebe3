"""Makes the requests of people: buyers, sellers and administrators.

A service may refuse a request. People who ask the impossible are part of the test.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

from services.customers.application.change_credit_limit import change_credit_limit
from services.customers.application.erase_customer import erase_customer
from services.customers.application.register_customer import register_customer
from services.customers.domain.customer import Customer
from services.customers.domain.personal_data import PersonalData
from services.orders.application.cancel_purchase import cancel_purchase
from services.orders.application.close_order import close_order
from services.orders.application.confirm_order import confirm_order
from services.orders.application.create_order import create_order
from services.orders.application.ports import Scope
from services.orders.application.request_purchase import request_purchase
from services.orders.domain.order import Order
from services.orders.domain.states import State as PurchaseState
from services.payments.application.pay_code import pay_code
from services.payments.application.retry_refund import retry_refund
from services.payments.application.settle_charge import ChargeSettlement, settle_charge
from services.payments.application.settle_refund import Settlement, settle_refund
from services.payments.domain.payment import Payment
from services.payments.domain.payment import State as PaymentState
from services.payouts.application.request_payout import request_payout
from services.payouts.application.retry_payout import retry_payout
from services.payouts.application.settle_payout import PayoutSettlement, settle_payout
from services.payouts.domain.payout import Payout, Status
from services.vehicles.application.edit_vehicle import edit_vehicle
from services.vehicles.application.list_vehicle import list_vehicle
from services.vehicles.application.mark_vehicle_as_sold import mark_vehicle_as_sold
from services.vehicles.application.withdraw_vehicle import withdraw_vehicle
from services.vehicles.domain.papers import Papers
from services.vehicles.domain.vehicle import Details, Vehicle
from tests.simulation.database import Fault
from tests.simulation.terms import PRICE_CENTS
from tests.simulation.world import World
from tests.unit.customers.memory import MemoryLedger
from tests.unit.vehicles.samples import renavam

TENANTS = ("north", "south")
THIS_YEAR = 2026


class People:
    """`People` make requests. `fault` happens at the commit of the next request."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.ledger = MemoryLedger()
        self.fault = Fault.NONE

    @property
    def customers(self) -> Sequence[Customer]:
        return list(self.world.rows("customers", "customers").values())

    @property
    def vehicles(self) -> Sequence[Vehicle]:
        return [each.vehicle for each in self.world.rows("vehicles", "vehicles").values()]

    @property
    def orders(self) -> Sequence[Order]:
        return list(self.world.rows("orders", "orders").values())

    def purchases(self, *states: PurchaseState) -> Sequence[Order]:
        """Return the orders with a purchase, in one of these states if any is given."""
        found = [order for order in self.orders if order.purchase]
        return [each for each in found if not states or _state(each) in states]

    def payments(self, *states: PaymentState) -> Sequence[Payment]:
        found: Iterable[Payment] = self.world.rows("payments", "payments").values()
        return [each for each in found if not states or each.state in states]

    def payouts(self, *states: Status) -> Sequence[Payout]:
        found: Iterable[Payout] = self.world.rows("payouts", "payouts").values()
        return [each for each in found if not states or each.status in states]

    def register(self, tenant_id: str, limit_cents: int) -> None:
        number = len(self.customers)
        personal = PersonalData("Ana", f"ana{number}@example.com", "+55", str(number))
        self._ask(
            "customers",
            lambda uow: register_customer(
                uow,
                customer_id=self.world.new_id(),
                tenant_id=tenant_id,
                personal=personal,
                credit_limit_cents=limit_cents,
                now=self.world.now,
            ),
        )

    def change_limit(self, customer: Customer, limit_cents: int) -> None:
        self._ask(
            "customers",
            lambda uow: change_credit_limit(
                uow,
                tenant_id=customer.tenant_id,
                customer_id=customer.id,
                expected_version=customer.version,
                limit_cents=limit_cents,
                now=self.world.now,
            ),
        )

    def erase(self, customer: Customer) -> None:
        self._ask(
            "customers",
            lambda uow: erase_customer(
                uow,
                ledger=self.ledger,
                tenant_id=customer.tenant_id,
                customer_id=customer.id,
                now=self.world.now,
            ),
        )

    def offer(
        self,
        tenant_id: str,
        seller: int,
        papers: Papers | None = None,
        price_cents: int = PRICE_CENTS,
    ) -> None:
        number = len(self.vehicles)
        papers = papers or Papers(f"ABC{number:04}", f"9BWZZZ377VT{number:06}", renavam(number))
        self._ask(
            "vehicles",
            lambda uow: list_vehicle(
                uow,
                vehicle_id=self.world.new_id(),
                tenant_id=tenant_id,
                seller_id=UUID(int=seller),
                details=Details("Volkswagen", "Golf", 2019, "prata", price_cents),
                papers=papers,
                acting_seller=None,
            ),
        )

    def offer_again(self, vehicle: Vehicle) -> None:
        """List a vehicle with the same plate and papers once more, for another seller."""
        listing = self.world.rows("vehicles", "vehicles")[vehicle.id]
        self.offer(vehicle.tenant_id, 9, listing.papers)

    def edit(self, vehicle: Vehicle, changes: Mapping[str, Any]) -> None:
        self._vehicle(
            edit_vehicle, vehicle, changes=changes, this_year=THIS_YEAR, acting_seller=None
        )

    def withdraw(self, vehicle: Vehicle) -> None:
        self._vehicle(withdraw_vehicle, vehicle, acting_seller=None)

    def mark_as_sold(self, vehicle: Vehicle) -> None:
        self._vehicle(mark_vehicle_as_sold, vehicle)

    def purchase(self, customer: Customer, vehicle: Vehicle, price_cents: int) -> None:
        self._ask(
            "orders",
            lambda uow: request_purchase(
                uow,
                order_id=self.world.new_id(),
                tenant_id=customer.tenant_id,
                customer_id=customer.id,
                vehicle_id=vehicle.id,
                price_cents=price_cents,
                now=self.world.now,
            ),
        )

    def draft(self, tenant_id: str, of: tuple[Customer, Vehicle] | None) -> None:
        customer, vehicle = of or (None, None)
        self._ask(
            "orders",
            lambda uow: create_order(
                uow,
                order_id=self.world.new_id(),
                tenant_id=tenant_id,
                customer_id=None if customer is None else customer.id,
                vehicle_id=None if vehicle is None else vehicle.id,
                now=self.world.now,
            ),
        )

    def confirm(self, order: Order) -> None:
        self._order(
            confirm_order,
            order,
            expected_version=order.version,
            price_cents=PRICE_CENTS,
        )

    def cancel(self, order: Order) -> None:
        self._order(cancel_purchase, order)

    def close(self, order: Order) -> None:
        self._order(close_order, order, expected_version=None)

    def pay(self, payment: Payment) -> None:
        self._ask(
            "payments",
            lambda uow: pay_code(
                uow,
                tenant_id=payment.tenant_id,
                code=payment.code or "",
                method="tok",
                may_see=lambda _: True,
            ),
        )

    def retry_refund(self, payment: Payment) -> None:
        self._payment(retry_refund, payment)

    def settle_refund(self, payment: Payment, *, gave_back: bool) -> None:
        """Record the decision of a person who has looked into the gateway's books."""
        if not gave_back:
            paid = Settlement(reference="bank-1", note="by transfer", by="operator")
            self._payment(settle_refund, payment, settlement=paid)

    def settle_charge(self, payment: Payment, *, reference: str | None) -> None:
        """Record the finding of a person who has looked into the gateway's books."""
        found = ChargeSettlement(reference=reference, note="seen", by="operator")
        self._payment(settle_charge, payment, settlement=found)

    def settle_payout(self, payout: Payout, *, paid: bool) -> None:
        """Record the finding of a person who has looked into the bank's books."""
        found = PayoutSettlement(
            reference=f"payout-{payout.payout_id}" if paid else None, note="seen", by="operator"
        )
        which = {"tenant_id": payout.tenant_id, "external_id": payout.external_id}
        self._ask(
            "payouts", lambda uow: settle_payout(uow, **which, version=None, settlement=found)
        )

    def ask_for_payout(self, tenant_id: str, external_id: str) -> None:
        payout = Payout(
            payout_id=self.world.new_id(),
            tenant_id=tenant_id,
            external_id=external_id,
            amount_cents=500,
        )
        self._ask("payouts", lambda uow: request_payout(uow, payout=payout))

    def retry_payout(self, payout: Payout) -> None:
        which = {"tenant_id": payout.tenant_id, "external_id": payout.external_id}
        self._ask("payouts", lambda uow: retry_payout(uow, **which, version=None))

    def _vehicle(
        self, request: Callable[..., Awaitable[Any]], vehicle: Vehicle, **how: Any
    ) -> None:
        which = {"tenant_id": vehicle.tenant_id, "vehicle_id": vehicle.id}
        self._ask("vehicles", lambda uow: request(uow, **which, version=vehicle.version, **how))

    def _order(self, request: Callable[..., Awaitable[Any]], order: Order, **how: Any) -> None:
        self._ask(
            "orders",
            lambda uow: request(
                uow, scope=Scope(order.tenant_id), order_id=order.id, now=self.world.now, **how
            ),
        )

    def _payment(
        self, request: Callable[..., Awaitable[Any]], payment: Payment, **how: Any
    ) -> None:
        which = {"tenant_id": payment.tenant_id, "payment_id": payment.payment_id}
        self._ask("payments", lambda uow: request(uow, **which, version=None, **how))

    def _ask(self, service: str, request: Callable[[Any], Awaitable[Any]]) -> None:
        fault, self.fault = self.fault, Fault.NONE
        self.world.do(service, request, fault)


def _state(order: Order) -> PurchaseState | None:
    return None if order.purchase is None else order.purchase.state
