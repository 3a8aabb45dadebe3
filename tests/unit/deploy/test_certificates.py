"""Strict clients accept the certificates of the installation's own authority, and no others."""

import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from deploy.certificates import LOOPBACK, RENEWED_BEFORE_THE_END, Authority, ends, write_secret


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    made = Authority(tmp_path / "authority")
    made.make()
    return made


def handshake(authority: Authority, pem: Path, host: str) -> None:
    """Do a TLS handshake without a network. The client is as strict as Python's newest."""
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(pem)
    client = ssl.create_default_context(cafile=authority.certificate)
    client.verify_flags |= ssl.VERIFY_X509_STRICT
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    one = client.wrap_bio(to_client, to_server, server_hostname=host)
    other = server.wrap_bio(to_server, to_client, server_side=True)
    done = set[ssl.SSLObject]()
    for _ in range(10):
        for side in (one, other):
            try:
                side.do_handshake()
                done.add(side)
            except ssl.SSLWantReadError:
                pass
    assert done == {one, other}


@pytest.mark.parametrize("host", [*LOOPBACK, "db"])
def test_a_strict_client_accepts_every_name_of_the_server(
    authority: Authority, tmp_path: Path, host: str
) -> None:
    pem = tmp_path / "server.pem"
    write_secret(pem, authority.issue("db", ("db", *LOOPBACK)))
    assert pem.stat().st_mode & 0o777 == 0o600
    handshake(authority, pem, host)


def test_another_name_and_another_authority_are_refused(
    authority: Authority, tmp_path: Path
) -> None:
    pem = tmp_path / "server.pem"
    write_secret(pem, authority.issue("db", ["db"]))
    with pytest.raises(ssl.SSLCertVerificationError, match="mismatch"):
        handshake(authority, pem, "rabbitmq")
    stranger = Authority(tmp_path / "stranger")
    stranger.make()
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(stranger, pem, "db")


def test_the_authority_stays_and_its_key_is_for_its_owner(authority: Authority) -> None:
    before = authority.certificate.read_bytes()
    authority.make()
    assert authority.certificate.read_bytes() == before
    assert authority.certificate.with_name("ca.key").stat().st_mode & 0o777 == 0o600


def test_a_certificate_is_good_while_it_is_ours_for_these_names_and_not_near_its_end(
    authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pem = tmp_path / "server.pem"
    assert not authority.still_good(pem, LOOPBACK)
    write_secret(pem, authority.issue("db", LOOPBACK))
    assert authority.still_good(pem, LOOPBACK)
    assert not authority.still_good(pem, ["db"])
    assert ends(pem) - datetime.now(UTC) > timedelta(days=89)
    stranger = Authority(tmp_path / "stranger")
    stranger.make()
    assert not stranger.still_good(pem, LOOPBACK)
    monkeypatch.setattr("deploy.certificates.SERVER", RENEWED_BEFORE_THE_END - timedelta(hours=1))
    write_secret(pem, authority.issue("db", LOOPBACK))
    assert not authority.still_good(pem, LOOPBACK)
    pem.write_text("nonsense")
    assert not authority.still_good(pem, LOOPBACK)
