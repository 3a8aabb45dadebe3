"""The error of a backup or a restore."""


class BackupFailed(Exception):
    """It was not done, and nothing half-done is left; `str(error)` is for the person at the
    terminal.
    """
