"""The customers service keeps buyers, their personal data and their credit."""
