"""Calls of an external system, such as a gateway or a bank."""
