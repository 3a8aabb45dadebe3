"""The domain holds the payout with its statuses, and the events and errors of payouts."""
