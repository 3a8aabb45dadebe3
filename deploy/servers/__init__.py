"""Postgres, RabbitMQ and other programs run as processes of this machine."""
