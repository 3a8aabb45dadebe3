"""Every service accepts these tokens, which the current key signs for a user for a short time."""

import time
from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from jwt import PyJWK
from jwt.algorithms import ECAlgorithm

from libs.kernel.clock import utc_now
from libs.kernel.ids import uuid7
from services.portal.application.rotate_signing_key import first_signing_key
from services.portal.domain.signing_key import SigningKey
from services.portal.domain.user import User
from services.portal.infrastructure.settings import PortalSettings
from services.portal.infrastructure.store.postgres import Store

ALGORITHM = "ES256"
KNOWN_SECONDS = 5.0
"""The keys are read again after this time, so that the key of another process is known here before
it signs.
"""


class Tokens:
    def __init__(self, transactions: Store, settings: PortalSettings) -> None:
        self._transactions = transactions
        self._issuer = settings.jwt_issuer
        self._audience = settings.jwt_audience
        self._lifetime = settings.token_lifetime
        self._keys: Sequence[SigningKey] = ()
        self._read_at = float("-inf")

    async def mint(self, user: User, lifetime: timedelta | None = None) -> str:
        """Return a token for this user, with the user's current roles."""
        now = utc_now()
        key = [key for key in await self._known() if key.is_readable and key.signs_from <= now][-1]
        claims: dict[str, Any] = {
            "iss": self._issuer,
            "aud": self._audience,
            "sub": str(user.id),
            "iat": int(now.timestamp()),
            "exp": int((now + min(lifetime or self._lifetime, self._lifetime)).timestamp()),
            "tenant": user.tenant_id,
            "roles": sorted(user.roles),
        }
        if user.customer_id is not None:
            claims["customer_id"] = str(user.customer_id)
        return jwt.encode(claims, key.private_pem or b"", ALGORITHM, headers={"kid": str(key.id)})

    async def jwks(self) -> dict[str, Any]:
        """Return the public halves of the keys whose tokens may still be valid."""
        now = utc_now()
        return {
            "keys": [
                key.public_jwk
                for key in await self._known()
                if key.is_published(now, self._lifetime)
            ]
        }

    async def key(self, kid: str) -> PyJWK | None:
        """Do as `libs.runtime.jwks.KeySet` does, without an HTTP request to the portal itself."""
        for public in (await self.jwks())["keys"]:
            if public["kid"] == kid:
                return PyJWK(public)
        return None

    async def load(self) -> None:
        """Read the keys. Make one where there is none, or none that can be read."""
        keys = await self._transactions.run(lambda uow: uow.keys.all())
        if not any(key.has_future for key in keys):
            first = partial(first_signing_key, make_key=make_key, now=utc_now())
            await self._transactions.run(first)
            keys = await self._transactions.run(lambda uow: uow.keys.all())
        self._keys, self._read_at = keys, time.monotonic()

    async def _known(self) -> Sequence[SigningKey]:
        if time.monotonic() - self._read_at > KNOWN_SECONDS:
            await self.load()
        return self._keys


def make_key(signs_from: datetime) -> SigningKey:
    private, key_id = generate_private_key(SECP256R1()), uuid7()
    pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    public = ECAlgorithm.to_jwk(private.public_key(), as_dict=True)
    jwk = {**public, "kid": str(key_id), "alg": ALGORITHM, "use": "sig"}
    return SigningKey(key_id, pem, jwk, signs_from)
