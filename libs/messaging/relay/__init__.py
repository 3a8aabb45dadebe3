"""The relay claims outbox rows, publishes them with confirms, and deletes those confirmed."""
