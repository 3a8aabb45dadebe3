"""Each file holds one use case. None commits; the unit of work does so after it."""
