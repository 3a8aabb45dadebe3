"""This package knows users by sessions, tokens and passwords, and decides what each may see."""
