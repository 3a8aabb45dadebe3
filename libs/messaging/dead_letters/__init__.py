"""These modules list, redrive, reissue and discard dead letters, and replay archived events."""
