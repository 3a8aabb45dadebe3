"""The writing side: a unit of work stages events, the outbox writes them into its transaction."""
