"""Forged tokens give no access to any service."""

import base64
import hashlib
import hmac
import json
import re
import time
import uuid
from collections.abc import Iterator
from typing import Any

import jwt
import pytest
import pytest_asyncio
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key as new_rsa_key
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
)
from jwt.algorithms import ECAlgorithm

from deploy.services import SERVICES
from libs.runtime import jwks
from services.portal.domain.signing_key import SigningKey
from tests.fixtures.whole_market import WholeMarket
from tests.security.matrix import OWN, PUBLIC, SIGNED_IN

pytestmark = pytest.mark.asyncio(loop_scope="module")

FOREIGN = generate_private_key(SECP256R1())
RSA = new_rsa_key(65537, 2048)
TENANT = "tenant-of-tokens"
LEFT_OUT = object()


def claims(**changed: Any) -> dict[str, Any]:
    now = int(time.time())
    wanted = {
        "iss": "mercado-veiculo",
        "aud": "mercado-veiculo",
        "sub": str(uuid.uuid4()),
        "iat": now,
        "exp": now + 60,
        "tenant": TENANT,
        "roles": ["buyer", "seller", "operator", "admin"],
        "customer_id": str(uuid.uuid4()),
        **changed,
    }
    return {name: value for name, value in wanted.items() if value is not LEFT_OUT}


def part(content: dict[str, Any] | bytes) -> str:
    raw = content if isinstance(content, bytes) else json.dumps(content).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def guarded(service: str) -> str:
    """Return the path of the first list that needs a caller, or of a missing thing where there is
    no list.
    """
    paths = [
        endpoint.removeprefix("GET ")
        for endpoint, row in OWN[service].items()
        if endpoint.startswith("GET ") and row not in (PUBLIC, SIGNED_IN)
    ]
    first = min(paths, key=lambda path: "{" in path)
    return re.sub(r"\{\w+\}", str(uuid.uuid4()), first)


class Forger:
    """A `Forger` has the portal's own key, and so makes good tokens as well."""

    def __init__(self, key: SigningKey) -> None:
        self._pem = key.private_pem or b""
        self.kid = str(key.id)
        private = load_pem_private_key(self._pem, None)
        self._public = private.public_key()

    def good(self, **changed: Any) -> str:
        payload = json.dumps(claims(**changed)).encode()
        return jwt.PyJWS().encode(payload, self._pem, "ES256", headers={"kid": self.kid})

    def with_header(self, key: Any = None, alg: str = "ES256", **header: Any) -> str:
        named = {"kid": self.kid, **header}
        return jwt.PyJWS().encode(json.dumps(claims()).encode(), key or self._pem, alg, named)

    def signed_by_hand(self, header: dict[str, Any], signature: bytes) -> str:
        return ".".join(
            (part({"kid": self.kid, "typ": "JWT"} | header), part(claims()), part(signature))
        )

    def hs256_of_the_public_key(self, encoding: Encoding, form: PublicFormat) -> str:
        """Return a token that a verifier accepts if it trusts the algorithm in the header."""

        secret = self._public.public_bytes(encoding, form)
        signed = f"{part({'alg': 'HS256', 'kid': self.kid})}.{part(claims())}"
        return f"{signed}.{part(hmac.digest(secret, signed.encode(), hashlib.sha256))}"

    def bad(self) -> Iterator[tuple[str, str]]:
        yield from self._wrong_keys()
        yield from self._wrong_key_ids()
        yield from self._wrong_claims()

    def _wrong_keys(self) -> Iterator[tuple[str, str]]:
        for alg in ("none", "None", "NONE", ""):
            yield f"alg {alg!r}", self.signed_by_hand({"alg": alg}, b"")
        yield "zero signature", self.signed_by_hand({"alg": "ES256"}, bytes(64))
        yield "no signature", self.good().rpartition(".")[0] + "."
        yield (
            "PEM as a secret",
            self.hs256_of_the_public_key(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        )
        yield (
            "DER as a secret",
            self.hs256_of_the_public_key(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
        )
        yield (
            "point as a secret",
            self.hs256_of_the_public_key(Encoding.X962, PublicFormat.UncompressedPoint),
        )
        yield "another key", self.with_header(FOREIGN)
        yield "another algorithm", self.with_header(RSA, "RS256")
        own = ECAlgorithm.to_jwk(FOREIGN.public_key(), as_dict=True)
        yield "its own key", self.with_header(FOREIGN, jwk=own)
        yield "a key elsewhere", self.with_header(FOREIGN, jku="http://127.0.0.1:9/jwks.json")
        yield "a certificate elsewhere", self.with_header(FOREIGN, x5u="file:///etc/passwd")
        yield "something critical", self.with_header(crit=["exp2"], exp2=1)
        head, body, signature = self.good().split(".")
        other = self.good(roles=["admin"], tenant="other").split(".")[1]
        yield "other claims", f"{head}.{other}.{signature}"
        yield "a part too many", f"{head}.{body}.{signature}.{signature}"

    def _wrong_key_ids(self) -> Iterator[tuple[str, str]]:
        for kid in (
            "../../../../dev/null",
            "/etc/passwd",
            "file:///etc/passwd",
            "http://127.0.0.1:9/key",
            f"{self.kid}'; DROP TABLE signing_keys; --",
            f"{self.kid}\x00",
            "",
            "x" * 1000,
        ):
            yield f"kid {kid[:20]!r}", self.with_header(FOREIGN, kid=kid)
            yield f"kid {kid[:20]!r}, right key", self.with_header(kid=kid)
        for thing in (None, 1, ["a"], {"a": 1}):
            head = part({"alg": "ES256", "kid": thing})
            yield f"kid {thing!r}", head + self.good()[self.good().index(".") :]

    def _wrong_claims(self) -> Iterator[tuple[str, str]]:
        now = int(time.time())
        for name in ("iss", "aud", "sub", "exp", "tenant", "roles"):
            yield f"no {name}", self.good(**{name: LEFT_OUT})
            yield f"{name} null", self.good(**{name: None})
        yield "expired", self.good(exp=now - 60)
        yield "expired long ago", self.good(exp=0)
        yield "not yet valid", self.good(nbf=now + 60)
        yield "made tomorrow", self.good(iat=now + 86_400)
        yield "another issuer", self.good(iss="someone")
        yield "an issuer among others", self.good(iss=["mercado-veiculo"])
        yield "another audience", self.good(aud="someone")
        yield "no audience of many", self.good(aud=["a", "b"])
        yield "no name for a tenant", self.good(tenant="../other")
        yield "an empty tenant", self.good(tenant="")
        yield "two tenants", self.good(tenant=["a", "b"])
        yield "roles as text", self.good(roles="admin")
        yield "roles as numbers", self.good(roles=[1])
        yield "a customer that is none", self.good(customer_id="' OR 1=1")
        yield "a subject that is none", self.good(sub=1)
        yield "exp as text", self.good(exp="tomorrow")


@pytest_asyncio.fixture(loop_scope="module")
async def forger(market: WholeMarket) -> Forger:
    keys = await market.services["portal"].service.transactions.run(lambda uow: uow.keys.all())
    return Forger(keys[-1])


@pytest.fixture
def places(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the list of places from which keys were read."""
    found, read = list[str](), jwks._read

    def noted(place: str) -> bytes:
        found.append(place)
        return read(place)

    monkeypatch.setattr(jwks, "_read", noted)
    return found


@pytest.mark.parametrize("service", [spec.name for spec in SERVICES])
async def test_a_token_that_is_not_right_opens_nothing(
    market: WholeMarket, forger: Forger, places: list[str], service: str
) -> None:
    client, path = market.services[service], guarded(service)
    rightly = {"Authorization": f"Bearer {forger.good()}", "X-Tenant-Id": TENANT}
    good = await client.get(path, headers=rightly)
    assert good.status_code in (200, 404), good.text
    for kind, token in forger.bad():
        answer = await client.get(path, headers={"Authorization": f"Bearer {token}"})
        assert answer.status_code == 401, (kind, answer.text)
        assert answer.headers["WWW-Authenticate"].startswith("Bearer"), kind
    assert set(places) <= {client.service.settings.jwks_url}


@pytest.mark.parametrize("service", [spec.name for spec in SERVICES])
async def test_a_token_is_taken_from_one_place_only(
    market: WholeMarket, forger: Forger, service: str
) -> None:
    client, path, token = market.services[service], guarded(service), forger.good()
    for params, headers in (
        ({"access_token": token}, {}),
        ({"token": token}, {}),
        ({}, {"Cookie": f"session={token[:90]}"}),
        ({}, {"X-Authorization": f"Bearer {token}"}),
        ({}, {"Authorization": f"Basic {token}"}),
        ({}, {"Authorization": token}),
    ):
        answer = await client.get(path, params=params, headers=headers)
        # No endpoint has such a parameter, so the request is refused before the caller is checked.
        assert answer.status_code == (400 if params else 401), (params, headers)
        assert token not in answer.text
