"""The infrastructure connects the portal with browsers, services, the broker and Postgres."""
