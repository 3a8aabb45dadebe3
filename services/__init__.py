"""Each package in this folder is a service, which runs as a process of its own."""
