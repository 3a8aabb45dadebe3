"""What every layer may use: ids, clock, events and errors. Standard library only."""
