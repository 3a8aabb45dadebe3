"""HTTP, events, Postgres and the gateway."""
