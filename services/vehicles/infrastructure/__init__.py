"""HTTP, RabbitMQ and Postgres at the edge of this service."""
