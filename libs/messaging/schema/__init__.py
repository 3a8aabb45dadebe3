"""The library's tables in a service's database: their definition, first migration, partitions."""
