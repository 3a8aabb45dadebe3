"""Each file holds one use case."""
