"""This package stores the portal's data in Postgres."""
