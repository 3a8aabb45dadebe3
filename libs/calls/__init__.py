"""Calls of a system outside, such as a gateway or a bank."""
