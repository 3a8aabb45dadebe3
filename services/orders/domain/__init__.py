"""Orders, the purchases they start, and the rules both obey."""
