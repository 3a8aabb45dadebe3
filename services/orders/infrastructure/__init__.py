"""Where orders meets HTTP, RabbitMQ and Postgres."""
