"""Buyers, their personal data and their credit."""
