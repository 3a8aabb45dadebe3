"""HTTP, events, Postgres and the bank."""
