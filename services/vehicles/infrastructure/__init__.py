"""The infrastructure connects vehicles with HTTP, RabbitMQ and Postgres."""
