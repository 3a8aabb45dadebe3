"""These roles may see or define figures. With AUTH=off every caller has every role."""

ADMIN, OPERATOR = "admin", "operator"
