"""The other services, their databases and the broker, as the portal calls them."""
