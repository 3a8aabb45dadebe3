"""Vehicles, their papers, and the record each purchase leaves here."""
