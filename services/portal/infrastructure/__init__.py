"""HTTP, pages, the broker and Postgres."""
