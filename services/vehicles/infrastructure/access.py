"""These functions decide who may do what to vehicles. With AUTH=off every caller has every role."""

from uuid import UUID

from libs.runtime.auth import Caller

ADMIN, OPERATOR, SELLER = "admin", "operator", "seller"


def acting_seller(caller: Caller) -> str | None:
    """Return the one seller this caller acts for, or None for an admin, who acts for all."""
    return None if caller.may(ADMIN) else caller.subject


def may_read_in_full(caller: Caller, seller_id: UUID) -> bool:
    """Return whether the caller sees the papers unmasked."""
    return caller.may(ADMIN) or (caller.may(SELLER) and caller.subject == str(seller_id))
