"""These modules call an external system, such as a gateway or a bank."""
