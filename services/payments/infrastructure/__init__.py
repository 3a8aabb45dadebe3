"""The infrastructure connects payments with HTTP, RabbitMQ, Postgres and the gateway."""
