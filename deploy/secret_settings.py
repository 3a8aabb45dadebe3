"""A service's secrets are in files, so that they may change while the service runs."""

from collections.abc import Mapping
from pathlib import Path

from deploy.certificates import write_secret

SECRETS = (
    "DATABASE_URL",
    "DATABASE_READ_URL",
    "READER_DATABASE_URL",
    "RABBITMQ_URL",
    "RABBITMQ_OPERATOR_URL",
    "RABBITMQ_MANAGEMENT_URL",
    "CURSOR_SECRET",
    "DATA_KEYS",
    "INDEX_KEY",
)


def write_secrets(settings: Mapping[str, str], folder: Path) -> None:
    """Write each secret to a file of its name that only its owner can read."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for name in SECRETS:
        if name in settings:
            write_secret(folder / name, f"{settings[name]}\n".encode())


def with_files(settings: Mapping[str, str], folder: Path) -> dict[str, str]:
    """Return the settings, with `NAME_FILE` for each secret that the folder holds unchanged."""
    chosen = dict(settings)
    for name in SECRETS:
        file = folder / name
        if name in settings and file.is_file() and file.read_text() == f"{settings[name]}\n":
            del chosen[name]
            chosen[f"{name}_FILE"] = str(file)
    return chosen
