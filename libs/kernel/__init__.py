"""What every layer may use: ids, clock, events, errors and retries. Standard library only."""
