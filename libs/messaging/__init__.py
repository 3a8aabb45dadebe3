"""This library runs a choreography over RabbitMQ and Postgres: outbox, relay, idempotent inbox.

Each folder holds one idea; a project that only needs an outbox uses the first three:

- `schema`: the library's tables in a service's database;
- `outbox`: a unit of work writes events into the outbox;
- `relay`: the relay publishes the events of the outbox;
- `inbox`: a service consumes each message of a queue in a transaction, once;
- `dead_letters`: people redrive, reissue or discard what a service gave up;
- `saga`: the choreography is data, with rules, pictures and a command line.
"""
