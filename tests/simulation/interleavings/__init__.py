"""The second simulation: relay, wake-up and subscriber as tasks, in an order that a seed decides."""
