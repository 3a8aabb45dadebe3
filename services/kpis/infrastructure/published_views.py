"""A KPI may query these views and columns. The author of a template sees nothing else.

Each view also has a `tenant_id`, which the filter uses and no template may name.
"""

SCHEMA = "published"

VIEWS: dict[str, tuple[str, ...]] = {
    "sales": ("order_id", "customer_id", "vehicle_id", "seller_id", "amount", "sold_at", "month"),
    "purchases": (
        "order_id",
        "customer_id",
        "vehicle_id",
        "seller_id",
        "amount",
        "outcome",
        "reason",
        "ended_at",
        "month",
        "seconds",
    ),
    "payouts": ("order_id", "seller_id", "amount", "status", "due_at", "month"),
    "vehicles": (
        "vehicle_id",
        "seller_id",
        "make",
        "model",
        "year",
        "price",
        "status",
        "listed_at",
        "month",
    ),
    "customers": ("customer_id", "registered_at", "month", "is_erased"),
}
