"""What the portal keeps in Postgres."""
