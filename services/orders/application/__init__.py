"""Each file holds one use case of orders and is named like it. None commits."""
