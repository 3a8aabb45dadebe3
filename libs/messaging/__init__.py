"""A transactional outbox, a relay, an idempotent inbox: choreography over RabbitMQ and Postgres.

Each folder is one idea, and someone who only wants an outbox reads the first three:

- `schema`: the library's tables in a service's database;
- `outbox`: the writing side, a unit of work that stages events;
- `relay`: from the outbox to the broker;
- `inbox`: the consuming side, from a queue into a transaction;
- `dead_letters`: what a service gave up, and what may be done with it;
- `saga`: the choreography as data, its rules, its pictures and its command line.
"""
