"""A transactional outbox, a relay, an idempotent inbox: choreography over RabbitMQ and Postgres.

Read in the order a message travels: `unit_of_work`, `outbox`, `relay`, `subscriber`, `inbox`,
`dead_letters`; `reactions` and `participant` are how a service says what it hears and states.
"""
