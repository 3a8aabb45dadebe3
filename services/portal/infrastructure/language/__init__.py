"""This package holds the texts for people and their translations."""
