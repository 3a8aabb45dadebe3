"""The portal calls the other services, their databases and the broker from here."""
