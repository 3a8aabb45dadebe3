"""The names of a service's own exchanges and queues on the broker."""


def dead_queue(service: str) -> str:
    return f"{service}.dead-letters"


def former_dead_queue(service: str) -> str:
    """Its delivery limit of 10,000 could be used up by reading; `apply` moves its messages."""
    return f"{service}.dead"


def look_lock(service: str) -> str:
    """An exclusive queue that exists while somebody reads the dead letters."""
    return f"{service}.dead-letters.look"


def dead_letter_exchange(service: str) -> str:
    return f"{service}.dlx"


def redrive_exchange(service: str) -> str:
    return f"{service}.redrive"
