"""What a service gave up: looked at, sent again, discarded; events replayed from the archive."""
