"""An installation has its own certificate authority, which issues its servers' certificates.

The authority's key is made once and stays in its folder. A server's certificate is valid for three
months; `./taskw certificates` renews it while everything runs.
"""

import ipaddress
import os
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import quote

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256R1,
    EllipticCurvePrivateKey,
    generate_private_key,
)
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

AUTHORITY = timedelta(days=3650)
SERVER = timedelta(days=90)
RENEWED_BEFORE_THE_END = timedelta(days=30)
LOOPBACK = ("localhost", "127.0.0.1", "::1")
CLOCKS = timedelta(hours=1)
"""A client's clock may be this far behind this one."""


class Authority:
    """The authority in `folder` has `ca.pem`, for everybody, and `ca.key`, which only its owner can
    read.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @property
    def certificate(self) -> Path:
        """Return the certificate that clients trust."""
        return self._folder / "ca.pem"

    @property
    def database_parameters(self) -> str:
        """Return the URL parameters of a database with a certificate of this authority."""
        return f"sslmode=verify-full&sslrootcert={quote(str(self.certificate), safe='/')}"

    @property
    def broker_parameters(self) -> str:
        """Return the URL parameters of a broker with a certificate of this authority."""
        return f"cafile={quote(str(self.certificate), safe='/')}"

    def make(self) -> None:
        """Make the authority, unless it exists."""
        if self.certificate.exists():
            return
        self._folder.mkdir(parents=True, exist_ok=True)
        key = generate_private_key(SECP256R1())
        name = _name("mercado-veiculo")
        usage = x509.KeyUsage(
            **dict.fromkeys(_USAGES, False) | {"key_cert_sign": True, "crl_sign": True}
        )
        certificate = (
            _builder(name, name, key, AUTHORITY)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(usage, critical=True)
            .sign(key, SHA256())
        )
        write_secret(self._folder / "ca.key", _key_pem(key))
        draft = self.certificate.with_suffix(".draft")
        draft.write_bytes(certificate.public_bytes(Encoding.PEM))
        draft.chmod(0o644)
        draft.replace(self.certificate)  # last: with it the authority is complete

    def issue(self, name: str, hosts: Sequence[str]) -> bytes:
        """Return a new certificate for a server with these names and addresses, after its key in
        one PEM text, so that both are replaced at once.
        """
        authority = x509.load_pem_x509_certificate(self.certificate.read_bytes())
        signs = load_pem_private_key((self._folder / "ca.key").read_bytes(), None)
        if not isinstance(signs, EllipticCurvePrivateKey):
            raise TypeError(f"{self._folder / 'ca.key'} is not a key of ours")
        key = generate_private_key(SECP256R1())
        usage = x509.KeyUsage(**dict.fromkeys(_USAGES, False) | {"digital_signature": True})
        certificate = (
            _builder(_name(name), authority.subject, key, SERVER, authority)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(usage, critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .add_extension(
                x509.SubjectAlternativeName([_alternative(host) for host in hosts]), critical=False
            )
            .sign(signs, SHA256())
        )
        return _key_pem(key) + certificate.public_bytes(Encoding.PEM)

    def still_good(self, pem: Path, hosts: Sequence[str]) -> bool:
        """Return whether this authority has signed the certificate, for these hosts, and it does
        not end soon.
        """
        try:
            certificate = x509.load_pem_x509_certificate(pem.read_bytes())
            authority = x509.load_pem_x509_certificate(self.certificate.read_bytes())
            certificate.verify_directly_issued_by(authority)
            names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
        except (OSError, ValueError, TypeError, InvalidSignature, x509.ExtensionNotFound):
            return False
        left = certificate.not_valid_after_utc - datetime.now(UTC)
        known = set(names.value)
        return left > RENEWED_BEFORE_THE_END and all(_alternative(each) in known for each in hosts)


def ends(pem: Path) -> datetime:
    """Return when the certificate in this file ends. Raises OSError or ValueError."""
    return x509.load_pem_x509_certificate(pem.read_bytes()).not_valid_after_utc


def write_secret(file: Path, content: bytes, mode: int = 0o600) -> None:
    """Replace the file atomically; only its owner can read it, unless `mode` says otherwise."""
    draft = file.with_name(f"{file.name}.{os.getpid()}.draft")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as opened:
        os.fchmod(descriptor, mode)
        opened.write(content)
    draft.replace(file)


_USAGES = (
    "digital_signature",
    "content_commitment",
    "key_encipherment",
    "data_encipherment",
    "key_agreement",
    "key_cert_sign",
    "crl_sign",
    "encipher_only",
    "decipher_only",
)


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: EllipticCurvePrivateKey,
    lifetime: timedelta,
    authority: x509.Certificate | None = None,
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    public = key.public_key()
    signer = authority.public_key() if authority else public
    if not isinstance(signer, type(public)):
        raise TypeError("the authority's key is not one of ours")
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - CLOCKS)
        .not_valid_after(now + lifetime)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer), critical=False)
    )


def _name(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _alternative(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _key_pem(key: EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
