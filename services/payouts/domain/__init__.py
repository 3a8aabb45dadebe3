"""What a payout is: its statuses, its events, its refusals."""
