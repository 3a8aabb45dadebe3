"""Whose the figures are. With AUTH=off every caller has every role."""

ADMIN, OPERATOR = "admin", "operator"
