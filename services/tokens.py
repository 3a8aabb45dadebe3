"""This command makes tokens where no portal issues them: in tests, demonstrations and development.

python -m services.tokens --role buyer --customer-id … [--tenant …] [--lifetime 3600]

The private key is made once under `.local/` (mode 0600), with its public half beside it as
`jwks.json`. Services started with AUTH=on and JWKS_URL=.local/jwks.json accept the tokens printed
here.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Collection, Sequence
from pathlib import Path
from uuid import UUID

import jwt
from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256R1,
    EllipticCurvePrivateKey,
    generate_private_key,
)
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from jwt.algorithms import ECAlgorithm

from libs.kernel.ids import uuid7
from libs.runtime.auth import DEFAULT_TENANT, ROLES
from libs.runtime.start_failure import StartFailure, one_line_errors
from services.settings import NAME

KEY_ID = "local"


class Issuer:
    """An issuer signs tokens with a key in `folder`, and makes the key when there is none."""

    def __init__(self, folder: Path) -> None:
        self.jwks = folder / "jwks.json"
        private = folder / "token-key.pem"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            if not private.exists():
                _make_key(private)
            self._key = private.read_bytes()
            self._publish()
        except OSError as error:
            raise StartFailure(f"{error.filename}: {error.strerror}") from error
        except ValueError as error:
            raise StartFailure(f"{private} is not a private key; delete it") from error

    def token(
        self,
        *,
        roles: Collection[str],
        subject: str,
        tenant: str = DEFAULT_TENANT,
        customer_id: UUID | None = None,
        lifetime: int = 3600,
    ) -> str:
        """Return a token that is valid for `lifetime` seconds from now."""
        now = int(time.time())
        claims: dict[str, object] = {
            "iss": NAME,
            "aud": NAME,
            "sub": subject,
            "iat": now,
            "exp": now + lifetime,
            "tenant": tenant,
            "roles": sorted(roles),
        }
        if customer_id is not None:
            claims["customer_id"] = str(customer_id)
        return jwt.encode(claims, self._key, algorithm="ES256", headers={"kid": KEY_ID})

    def _publish(self) -> None:
        key = load_pem_private_key(self._key, None)
        if not isinstance(key, EllipticCurvePrivateKey):
            raise ValueError("not an EC key")
        public = ECAlgorithm.to_jwk(key.public_key(), as_dict=True)
        entry = public | {"kid": KEY_ID, "alg": "ES256", "use": "sig"}
        document = json.dumps({"keys": [entry]}, indent=2) + "\n"
        if not self.jwks.exists() or self.jwks.read_text() != document:
            self.jwks.write_text(document)


def _make_key(place: Path) -> None:
    pem = generate_private_key(SECP256R1()).private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
    )
    # The key is written under another name first, so that no other process reads half a key.
    draft = place.with_suffix(f".{os.getpid()}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(pem)
    try:
        os.link(draft, place)
    except FileExistsError:
        pass
    finally:
        draft.unlink()


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(prog="token", description="Print a token for the local run.")
    parser.add_argument("--role", action="append", required=True, choices=sorted(ROLES))
    parser.add_argument("--tenant", default=DEFAULT_TENANT)
    parser.add_argument("--customer-id", type=UUID, help="the buyer's customer record")
    parser.add_argument("--subject", help="who it is; default: a new id")
    parser.add_argument("--lifetime", type=int, default=3600, help="seconds")
    parser.add_argument("--folder", type=Path, default=Path(".local"))
    chosen = parser.parse_args(arguments)
    with one_line_errors():
        token = Issuer(chosen.folder).token(
            roles=chosen.role,
            subject=chosen.subject or str(uuid7()),
            tenant=chosen.tenant,
            customer_id=chosen.customer_id,
            lifetime=chosen.lifetime,
        )
    sys.stdout.write(f"{token}\n")


if __name__ == "__main__":
    main(sys.argv[1:])
