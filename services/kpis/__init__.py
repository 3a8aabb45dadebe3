"""Figures of the marketplace, computed from what was heard."""
