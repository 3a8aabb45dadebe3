"""A unit of work stages events, and the outbox writes them into its transaction."""
