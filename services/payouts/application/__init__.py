"""Each file holds one use case. None commits, and none has a clock or randomness of its own."""
