"""Every layer may use ids, clock, events, errors and retries. They need no other library."""
