"""`sslmode` and PGSSLROOTCERT decide whether a database's certificate is accepted."""

import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from prometheus_client import REGISTRY
from yarl import URL

from deploy.certificates import ends
from libs.runtime.certificates import Server, servers_with_tls
from libs.runtime.database import check_database
from libs.runtime.start_failure import StartFailure
from tests.fixtures.pgbouncer import pgbouncer_before
from tests.fixtures.polling import eventually
from tests.fixtures.services import serving
from tests.integration.runtime.notes import NotesSettings, build


def certificate_of(name: str) -> tuple[bytes, bytes]:
    """Return a certificate that signs itself, and its key."""
    key = generate_private_key(SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, SHA256())
    )
    secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return certificate.public_bytes(Encoding.PEM), secret


def certificate_ends(server: str) -> float | None:
    return REGISTRY.get_sample_value("certificate_expiry_timestamp_seconds", {"server": server})


@pytest.fixture
def trusted(
    notes_database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[NotesSettings]:
    """Yield settings as docs/running.md says, of a database that shows a certificate of its own."""
    certificate, key = certificate_of("localhost")
    (tmp_path / "ca.pem").write_bytes(certificate)
    monkeypatch.setenv("PGSSLROOTCERT", str(tmp_path / "ca.pem"))
    with pgbouncer_before(notes_database.replace("+asyncpg", ""), (certificate, key)) as url:
        place = url.replace("127.0.0.1", "localhost")
        yield NotesSettings(
            _env_file=None, database_url=f"{place}?sslmode=verify-full", role="api", pgbouncer=True
        )


async def test_a_certificate_of_the_named_authority_is_accepted(trusted: NotesSettings) -> None:
    async with serving(build(trusted)) as notes:
        assert (await notes.get("/ready")).json()["checks"]["database"] == "ok"
        assert (await notes.post("/notes", json={"text": "milk"})).status_code == 201


async def test_the_end_of_the_certificate_is_a_metric(trusted: NotesSettings) -> None:
    (server,) = servers_with_tls(trusted)
    end = ends(Path(os.environ["PGSSLROOTCERT"])).timestamp()

    async def seen() -> bool:
        return certificate_ends(str(server)) == end

    async with serving(build(trusted)):
        await eventually(seen)


async def test_a_server_without_tls_has_no_certificate(notes_database: str) -> None:
    with pgbouncer_before(notes_database.replace("+asyncpg", "")) as url:
        place = URL(url)
        server = Server(place.host or "", place.port or 0, database=True)
        assert await server.look() > 0
    assert certificate_ends(str(server)) is None
    with pytest.raises(OSError, match="Connect call failed"):
        await server.look()


async def test_a_certificate_of_anybody_else_is_refused_in_one_line(
    trusted: NotesSettings, tmp_path: Path
) -> None:
    stranger, _ = certificate_of("localhost")
    (tmp_path / "ca.pem").write_bytes(stranger)
    with pytest.raises(StartFailure, match="certificate"):
        await check_database(trusted)


async def test_a_database_that_refuses_tls_is_said_in_one_line(notes_database: str) -> None:
    with pgbouncer_before(notes_database.replace("+asyncpg", "")) as url:
        settings = NotesSettings(
            _env_file=None, database_url=f"{url}?sslmode=require", role="api", pgbouncer=True
        )
        with pytest.raises(StartFailure, match="SSL"):
            await check_database(settings)


async def test_an_authority_whose_file_is_missing_is_said_in_one_line(
    trusted: NotesSettings, tmp_path: Path
) -> None:
    (tmp_path / "ca.pem").unlink()
    with pytest.raises(StartFailure, match="PGSSLROOTCERT"):
        await check_database(trusted)
