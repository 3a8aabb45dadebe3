"""A valid token decides who the caller is; requests without one are refused."""

import json
import time
from base64 import urlsafe_b64decode
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from jwt.algorithms import ECAlgorithm, OKPAlgorithm

from libs.runtime import jwks
from services.tokens import Issuer
from tests.fixtures.services import ServiceClient, serving
from tests.integration.runtime.notes import NotesSettings, build

KEY = generate_private_key(SECP256R1())
EDWARDS = Ed25519PrivateKey.generate()
FOREIGN = generate_private_key(SECP256R1())
CUSTOMER = uuid4()
SECRET = "c2VjcmV0" * 8


def claims(**more: Any) -> dict[str, Any]:
    return {
        "iss": "mercado-veiculo",
        "aud": "mercado-veiculo",
        "sub": "someone",
        "exp": int(time.time()) + 60,
        "tenant": "one",
        "roles": ["buyer"],
        "customer_id": str(CUSTOMER),
    } | more


def token(key: Any = KEY, alg: str = "ES256", kid: str = "ec", **more: Any) -> str:
    wanted = {name: value for name, value in claims(**more).items() if value is not None}
    return jwt.encode(wanted, key, algorithm=alg, headers={"kid": kid})


def publish(place: Path, **keys: Any) -> None:
    entries = []
    for kid, key in keys.items():
        kind = OKPAlgorithm if isinstance(key, Ed25519PrivateKey) else ECAlgorithm
        alg = "EdDSA" if kind is OKPAlgorithm else "ES256"
        entries.append(kind.to_jwk(key.public_key(), as_dict=True) | {"kid": kid, "alg": alg})
    # A symmetric key does not belong in a key set. If one is there, it verifies nothing.
    entries.append({"kty": "oct", "kid": "oct", "alg": "HS256", "k": SECRET})
    place.write_text(json.dumps({"keys": entries}))


@pytest.fixture
async def guarded(notes_database: str, tmp_path: Path) -> AsyncIterator[ServiceClient]:
    """Yield the notes service with AUTH=on."""
    place = tmp_path / "jwks.json"
    publish(place, ec=KEY, ed=EDWARDS)
    settings = NotesSettings(
        database_url=notes_database, role="api", auth="on", jwks_url=str(place)
    )
    async with serving(build(settings)) as client:
        yield client


def bearer(text: str, **headers: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {text}"} | headers


async def test_a_token_says_who_calls(guarded: ServiceClient) -> None:
    for good in (token(), token(EDWARDS, "EdDSA", "ed")):
        answer = await guarded.get("/notes/whoami", headers=bearer(good))
        assert answer.json() == {
            "tenant": "one",
            "subject": "someone",
            "roles": ["buyer"],
            "customer_id": str(CUSTOMER),
        }


UNSIGNED = jwt.encode(claims(), "", algorithm="none", headers={"kid": "ec"})
SYMMETRIC = jwt.encode(claims(), "s" * 64, algorithm="HS256", headers={"kid": "ec"})


def wrong_headers() -> list[str | None]:
    return [
        None,
        "",
        "Basic abc",
        "Bearer ",
        "Bearer x.y.z",
        "Bearer " + "x" * 5000,
        f"Bearer {UNSIGNED}",
        f"Bearer {SYMMETRIC}",
        f"Bearer {token(urlsafe_b64decode(SECRET), 'HS256', 'oct')}",
        f"Bearer {token(FOREIGN)}",
        f"Bearer {token(FOREIGN, kid='unknown')}",
        f"Bearer {token(EDWARDS, 'EdDSA', 'ec')}",
        f"Bearer {token(exp=int(time.time()) - 60)}",
        f"Bearer {token(exp=None)}",
        f"Bearer {token(iss='someone else')}",
        f"Bearer {token(aud='someone else')}",
        f"Bearer {token(aud=None)}",
        f"Bearer {token(sub=None)}",
        f"Bearer {token(tenant=None)}",
        f"Bearer {token(tenant='a b')}",
        f"Bearer {token(roles='admin')}",
        f"Bearer {token(customer_id='me')}",
        f"Bearer {token()[:-4]}AAAA",
    ]


async def test_no_token_or_a_wrong_one_is_401(guarded: ServiceClient) -> None:
    for header in wrong_headers():
        headers = {} if header is None else {"Authorization": header}
        answer = await guarded.get("/notes/whoami", headers=headers)
        assert answer.status_code == 401, header
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")
        assert answer.headers["Content-Type"] == "application/problem+json"


async def test_the_tenant_header_must_be_the_tokens(guarded: ServiceClient) -> None:
    good = await guarded.get("/notes/whoami", headers=bearer(token(), **{"X-Tenant-Id": "one"}))
    assert good.status_code == 200
    other = await guarded.get("/notes/whoami", headers=bearer(token(), **{"X-Tenant-Id": "two"}))
    assert other.status_code == 403
    assert other.json()["field"] == "X-Tenant-Id"


async def test_a_role_the_caller_has_not_is_403(guarded: ServiceClient) -> None:
    assert (await guarded.get("/notes/admin", headers=bearer(token()))).status_code == 403
    admin = token(roles=["admin", "made-up"])
    assert (await guarded.get("/notes/admin", headers=bearer(admin))).status_code == 200
    who = await guarded.get("/notes/whoami", headers=bearer(admin))
    assert who.json()["roles"] == ["admin"]


async def test_another_callers_key_is_not_replayed(guarded: ServiceClient) -> None:
    note = {"text": "mine"}
    key = {"Idempotency-Key": "k"}
    await guarded.post("/notes", json=note, headers=bearer(token(), **key))
    other = await guarded.post("/notes", json=note, headers=bearer(token(sub="other"), **key))
    assert other.status_code == 201
    assert "Idempotency-Replayed" not in other.headers


async def test_a_new_key_is_found_and_a_withdrawn_one_is_refused(
    guarded: ServiceClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (await guarded.get("/notes/whoami", headers=bearer(token()))).status_code == 200
    monkeypatch.setattr(jwks, "UNKNOWN_KEY_SECONDS", 0)
    publish(tmp_path / "jwks.json", new=FOREIGN)
    renewed = bearer(token(FOREIGN, kid="new"))
    assert (await guarded.get("/notes/whoami", headers=renewed)).status_code == 200
    assert (await guarded.get("/notes/whoami", headers=bearer(token()))).status_code == 401


async def test_keys_that_cannot_be_read_for_a_while_do_not_lock_anybody_out(
    guarded: ServiceClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await unreadable(guarded, tmp_path, monkeypatch)
    assert (await guarded.get("/notes/whoami", headers=bearer(token()))).status_code == 200


async def test_keys_that_were_last_read_too_long_ago_open_nothing(
    guarded: ServiceClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await unreadable(guarded, tmp_path, monkeypatch)
    monkeypatch.setattr(jwks, "AWAY_SECONDS", 0)
    assert (await guarded.get("/notes/whoami", headers=bearer(token()))).status_code == 503
    publish(tmp_path / "jwks.json", ec=KEY)
    monkeypatch.setattr(jwks, "AWAY_SECONDS", 60)
    assert (await guarded.get("/notes/whoami", headers=bearer(token()))).status_code == 200


async def unreadable(
    guarded: ServiceClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Let the issuer not answer, while its keys are read again for each token."""
    assert (await guarded.get("/notes/whoami", headers=bearer(token()))).status_code == 200
    (tmp_path / "jwks.json").unlink()
    monkeypatch.setattr(jwks, "REFRESH_SECONDS", 0)
    monkeypatch.setattr(jwks, "UNKNOWN_KEY_SECONDS", 0)


async def test_made_up_key_ids_do_not_make_us_read_the_keys_again(
    guarded: ServiceClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read(_: str) -> bytes:
        raise AssertionError

    monkeypatch.setattr(jwks, "_read", read)
    for n in range(3):
        answer = await guarded.get("/notes/whoami", headers=bearer(token(FOREIGN, kid=f"k{n}")))
        assert answer.status_code == 401


async def test_printed_tokens_are_accepted(notes_database: str, tmp_path: Path) -> None:
    issuer = Issuer(tmp_path / ".local")
    assert (tmp_path / ".local" / "token-key.pem").stat().st_mode & 0o777 == 0o600
    settings = NotesSettings(
        database_url=notes_database, role="api", auth="on", jwks_url=str(issuer.jwks)
    )
    async with serving(build(settings)) as client:
        for one in (issuer, Issuer(tmp_path / ".local")):
            good = one.token(roles=["seller"], subject="s", tenant="t", customer_id=CUSTOMER)
            who = (await client.get("/notes/whoami", headers=bearer(good))).json()
            assert who["tenant"] == "t"
            assert who["roles"] == ["seller"]
        late = issuer.token(roles=["seller"], subject="s", lifetime=-60)
        assert (await client.get("/notes/whoami", headers=bearer(late))).status_code == 401


async def test_without_tokens_everybody_has_every_role(notes: ServiceClient) -> None:
    who = (await notes.get("/notes/whoami", headers={"X-Tenant-Id": "one"})).json()
    assert who["tenant"] == "one"
    assert who["customer_id"] is None
    assert set(who["roles"]) == {"buyer", "seller", "operator", "admin"}
    assert (await notes.get("/notes/whoami")).json()["tenant"] == "default"
