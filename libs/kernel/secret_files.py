"""A secret may stand in a file that NAME_FILE names, as containers and secret managers mount it."""

from collections.abc import Iterable, MutableMapping
from pathlib import Path

MOST_BYTES = 64 * 1024


class SecretFileError(Exception):
    """The file cannot be used. One sentence says why, without its content."""


def read_secret_file(path: Path) -> str:
    """Return the one line of a file, without its newline, or raise SecretFileError."""
    try:
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
    except (OSError, ValueError) as error:  # ValueError: the text cannot be a path
        reason = getattr(error, "strerror", None) or error
        raise SecretFileError(f"{path} cannot be read: {reason}") from None
    if len(content) > MOST_BYTES:
        raise SecretFileError(f"{path} is longer than {MOST_BYTES // 1024} KiB")
    try:
        text = content.decode().rstrip("\r\n")
    except UnicodeDecodeError:
        raise SecretFileError(f"{path} is not text") from None
    if not text.strip():
        raise SecretFileError(f"{path} is empty")
    if "\n" in text or "\0" in text:
        raise SecretFileError(f"{path} holds more than one line")
    return text


def secret_in(path: str, name: str, itself: str | None) -> str:
    """Return what the file named by `NAME_FILE` holds, where NAME `itself` is not set. Raises
    SecretFileError where both are set.
    """
    if itself:
        raise SecretFileError(f"{name} and {name}_FILE are both set: leave one of them out")
    try:
        return read_secret_file(Path(path))
    except SecretFileError as error:
        raise SecretFileError(f"{name}_FILE: {error}") from None


def take_from_files(names: Iterable[str], environment: MutableMapping[str, str]) -> None:
    """Set each variable whose `NAME_FILE` is set, or raise SecretFileError."""
    for name in names:
        if path := environment.get(f"{name}_FILE"):
            environment[name] = secret_in(path, name, environment.get(name))
