"""The library's tables in a service's database have a definition, migrations and partitions."""
