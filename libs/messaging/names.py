"""The names of a service's own exchanges and queues on the broker."""


def dead_queue(service: str) -> str:
    return f"{service}.dead-letters"


def former_dead_queue(service: str) -> str:
    """Its delivery limit of 10,000 could be used up by looking; `apply` moves what it holds."""
    return f"{service}.dead"


def look_lock(service: str) -> str:
    """An exclusive queue: it exists while somebody looks at the dead letters."""
    return f"{service}.dead-letters.look"


def dead_letter_exchange(service: str) -> str:
    return f"{service}.dlx"


def redrive_exchange(service: str) -> str:
    return f"{service}.redrive"
