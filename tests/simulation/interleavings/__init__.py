"""Runs the second simulation: the messaging library's tasks, in an order that a seed decides."""
