"""One use case per file. None commits, none has a clock or randomness of its own."""
