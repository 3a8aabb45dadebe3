"""These modules define, migrate and partition the library's tables in a service's database."""
