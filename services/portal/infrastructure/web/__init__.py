"""This package holds the pages and their parts."""
