"""Postgres, RabbitMQ and other programs as processes of this machine."""
