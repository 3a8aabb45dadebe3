"""The infrastructure connects payouts with HTTP, RabbitMQ, Postgres and the bank."""
