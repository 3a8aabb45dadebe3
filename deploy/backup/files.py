"""A backup's files become the files of a server again."""

import shutil
import subprocess
import tarfile
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from deploy.backup import sealed
from deploy.backup.failure import BackupFailed
from deploy.servers.postgres import SETTINGS, server_environment, server_programs, server_user
from deploy.servers.processes import Children, StartFailed

RECOVERY_SECONDS = 6 * 3600.0
ENDS_SECONDS = 60.0
HBA = "local all all trust\n"


def unpack(place: Path, identity: str, data: Path) -> None:
    """Extract the sealed file into the folder `data`, and compare each file with the checksum that
    the server gave it. Only Postgres' user can read the folder.

    Raises BackupFailed; a part of the folder may exist then.
    """
    user = server_user()
    programs = server_programs(user)
    data.mkdir(mode=0o700)
    try:
        with (
            sealed.opened(place, identity) as stream,
            tarfile.open(fileobj=stream, mode="r|gz") as archive,
        ):
            archive.extractall(data, filter="data")
    except (tarfile.TarError, EOFError, OSError) as error:
        raise BackupFailed(f"{place} cannot be unpacked into {data}: {error}") from None
    data.chmod(0o700)
    if user is not None:
        subprocess.run(["chown", "-R", f"{user}:", data], check=True)
    checked = subprocess.run(
        [programs / "pg_verifybackup", "--quiet", data],
        user=user,
        env=server_environment(),
        cwd="/",
        capture_output=True,
        text=True,
        check=False,
    )
    if checked.returncode:
        lines = checked.stderr.strip().splitlines() or ["pg_verifybackup says nothing"]
        raise BackupFailed(f"the unpacked files are damaged: {lines[0]}")
    # These files belong to the copied server: another process may have its process id here, and no
    # server would start.
    for lock in data.glob(".s.PGSQL.*"):
        lock.unlink()


def clear(data: Path) -> None:
    """Delete the remains of a restore that was killed. Its server ends with it, but not at once,
    and still writes meanwhile. Raises BackupFailed where they cannot be deleted.
    """
    deadline = time.monotonic() + ENDS_SECONDS
    while data.exists():
        try:
            shutil.rmtree(data)
        except OSError as error:
            if time.monotonic() > deadline:
                reason = f"{error.filename}: {error.strerror}"
                raise BackupFailed(f"{data} cannot be deleted: {reason}") from None
            time.sleep(0.1)


def require(version: int) -> None:
    """Raise BackupFailed where the programs belong to another major version of Postgres."""
    words = subprocess.check_output([server_programs(None) / "postgres", "--version"], text=True)
    if (ours := int(words.split()[2].split(".")[0])) != version:
        raise BackupFailed(
            f"the backup is of Postgres {version}, and the programs here are of {ours} "
            f"(POSTGRES_BIN names the folder of others)"
        )


def follow_log(data: Path, log: Path, until: datetime) -> None:
    """Make the server, when it starts on these files, replay the archived write-ahead log up to
    this moment. Raises BackupFailed where there is no archive.
    """
    if not log.is_dir():
        raise BackupFailed(f"there is no archive of the write-ahead log in {log}")
    settings = {
        "restore_command": f"cp {_quoted(log)}/%f %p",
        "recovery_target_time": until.isoformat(),
        "recovery_target_action": "promote",
    }
    with (data / "postgresql.auto.conf").open("a") as file:
        file.writelines(f"{name} = {_literal(value)}\n" for name, value in settings.items())
    signal = data / "recovery.signal"
    signal.touch()
    shutil.copystat(data / "PG_VERSION", signal)
    if (user := server_user()) is not None:
        shutil.chown(signal, user, user)


def drop_log_before(log: Path, first: str) -> None:
    """Delete the files older than `first` from an archive of the write-ahead log.

    Raises BackupFailed where they cannot be deleted.
    """
    done = subprocess.run(
        [server_programs(None) / "pg_archivecleanup", log, first],
        env=server_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise BackupFailed(f"BACKUP_LOG: {done.stderr.strip()}")


@contextmanager
def serving(data: Path) -> Iterator[Path]:
    """Run a server on these files, after its recovery, that nobody else can reach: it listens only
    in the given folder, whose sockets need no password. Raises BackupFailed if it does not start.
    """
    user = server_user()
    programs = server_programs(user)
    with tempfile.TemporaryDirectory(prefix="mv-") as name:  # the path of a socket must be short
        place = Path(name)
        (place / "hba").write_text(HBA)
        if user is not None:
            shutil.chown(place, user, user)
            shutil.chown(place / "hba", user, user)
        children = Children(place, tied=True)
        settings = SETTINGS | {
            "listen_addresses": "",
            "unix_socket_directories": name,
            "hba_file": f"{name}/hba",
            "hot_standby": "off",  # it answers after its recovery
            "archive_mode": "off",
        }
        try:
            children.start(
                "postgres",
                [
                    *(programs / "postgres", "-D", data, "-p", "5432"),
                    *(f"--{key.replace('_', '-')}={value}" for key, value in settings.items()),
                ],
                rank=1,
                env=server_environment(),
                cwd=data,
                user=user,
            )
            answers: list[str | Path] = [programs / "pg_isready", "-q", "-h", name]
            children.wait_until(
                "postgres",
                lambda: subprocess.call(answers, env=server_environment()) == 0,
                RECOVERY_SECONDS,
            )
            yield place
        except StartFailed as error:
            raise BackupFailed(f"no server starts on the restored files: {error}") from None
        finally:
            children.stop()


def _quoted(path: Path) -> str:
    return "'" + str(path).replace("'", "'\\''").replace("%", "%%") + "'"


def _literal(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
