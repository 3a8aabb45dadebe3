"""A backup or a restore raises this error."""


class BackupFailed(Exception):
    """The backup or restore failed, and nothing half-done is left. `str(error)` is for the person
    at the terminal.
    """
