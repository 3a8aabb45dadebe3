"""Figures of the marketplace, computed from consumed events."""
