"""The kpis service computes figures of the marketplace from consumed events."""
