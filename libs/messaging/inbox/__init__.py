"""The consuming side: from a queue into a transaction, each message with one effect."""
