"""The infrastructure connects orders with HTTP, RabbitMQ and Postgres."""
