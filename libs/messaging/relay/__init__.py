"""From the outbox to the broker: claim rows, publish with confirms, delete what was confirmed."""
