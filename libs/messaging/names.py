"""A service's own exchanges and queues have these names on the broker."""


def dead_queue(service: str) -> str:
    return f"{service}.dead-letters"


def former_dead_queue(service: str) -> str:
    """Return the old queue's name. Reading could use up its delivery limit; `apply` empties it."""
    return f"{service}.dead"


def look_lock(service: str) -> str:
    """Return the name of an exclusive queue, which is there while a look reads dead letters."""
    return f"{service}.dead-letters.look"


def dead_letter_exchange(service: str) -> str:
    return f"{service}.dlx"


def redrive_exchange(service: str) -> str:
    return f"{service}.redrive"
