"""The portal issues tokens to signed-in users; other services accept them until they
expire, also while keys rotate.
"""

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import jwt
import pytest

from libs.kernel.clock import utc_now
from libs.kernel.ids import uuid7
from libs.runtime.auth import Authenticator, Unauthenticated
from services.portal.application.rotate_signing_key import rotate_signing_key
from services.portal.infrastructure.identity.signed_tokens import Tokens, make_key
from services.portal.infrastructure.settings import PortalSettings
from services.portal.infrastructure.store.postgres import Store
from services.tokens import Issuer
from tests.fixtures.services import ServiceClient
from tests.integration.portal.conftest import AddUser, Enter, execute

LIFETIME = timedelta(seconds=300)


@pytest.fixture
def tokens(transactions: Store, settings: Callable[..., PortalSettings]) -> Tokens:
    return Tokens(transactions, settings())


class Peer:
    """A `Peer` is another service with AUTH=on, which reads our published keys."""

    def __init__(self, portal: ServiceClient, place: Path, settings: Any) -> None:
        self._portal, self._place, self._settings = portal, place, settings

    async def caller(self, token: str) -> Any:
        self._place.write_text((await self._portal.get("/.well-known/jwks.json")).text)
        keys_of = self._settings(jwks_url=str(self._place), auth="on")
        return await Authenticator(keys_of).caller(f"Bearer {token}", None)


@pytest.fixture
def peer(portal: ServiceClient, tmp_path: Path, settings: Any) -> Peer:
    return Peer(portal, tmp_path / "jwks.json", settings)


async def test_a_peer_knows_the_user_by_the_token(
    portal: ServiceClient, enter: Enter, peer: Peer
) -> None:
    customer_id = uuid7()
    user = await enter("buyer", "seller", customer_id=customer_id, tenant="south")
    answer = (await portal.post("/api/token")).json()
    caller = await peer.caller(answer["access_token"])
    assert (caller.subject, caller.tenant_id) == (str(user.id), "south")
    assert (caller.roles, caller.customer_id) == ({"buyer", "seller"}, customer_id)
    claims = jwt.decode(answer["access_token"], options={"verify_signature": False})
    assert claims["exp"] - claims["iat"] == answer["expires_in"] == 300


async def test_nobody_gets_a_token_without_a_session(portal: ServiceClient) -> None:
    assert (await portal.post("/api/token")).status_code == 401


async def test_the_private_half_is_neither_published_nor_readable_in_the_database(
    portal: ServiceClient, portal_database: str
) -> None:
    [public] = (await portal.get("/.well-known/jwks.json")).json()["keys"]
    assert set(public) == {"kty", "crv", "x", "y", "kid", "alg", "use"}
    [row] = await execute(portal_database, "SELECT private_key FROM signing_keys")
    assert b"PRIVATE KEY" not in row["private_key"]


async def rotate(transactions: Store) -> None:
    await transactions.run(
        lambda uow: rotate_signing_key(
            uow, make_key=make_key, token_lifetime=LIFETIME, now=utc_now()
        )
    )


async def published(portal: ServiceClient) -> list[str]:
    return [key["kid"] for key in (await portal.get("/.well-known/jwks.json")).json()["keys"]]


def key_of(token: str) -> str:
    return str(jwt.get_unverified_header(token)["kid"])


async def test_after_a_rotation_old_tokens_stay_good_and_the_new_key_is_known_before_it_signs(
    portal: ServiceClient,
    add_user: AddUser,
    transactions: Store,
    tokens: Tokens,
    peer: Peer,
    portal_database: str,
) -> None:
    user = await add_user("buyer")
    old = await tokens.mint(user)
    await rotate(transactions)
    await portal.service.authenticator.keys.load()  # type: ignore[union-attr]
    await tokens.load()
    assert len(await published(portal)) == 2
    assert key_of(await tokens.mint(user)) == key_of(old), "the new one signs a little later"
    await execute(
        portal_database,
        "UPDATE signing_keys SET signs_from = signs_from - interval '15 s',"
        " retired_at = retired_at - interval '15 s'",
    )
    await tokens.load()
    new = await tokens.mint(user)
    assert key_of(new) != key_of(old)
    for token in (old, new):
        assert (await peer.caller(token)).subject == str(user.id)


async def test_an_old_key_goes_when_its_last_token_has_expired(
    portal: ServiceClient,
    add_user: AddUser,
    transactions: Store,
    tokens: Tokens,
    peer: Peer,
    portal_database: str,
) -> None:
    old = await tokens.mint(await add_user("buyer"))
    await rotate(transactions)
    await execute(
        portal_database,
        "UPDATE signing_keys SET retired_at = now() - interval '301 s'"
        " WHERE retired_at IS NOT NULL",
    )
    await portal.service.authenticator.keys.load()  # type: ignore[union-attr]
    assert key_of(old) not in await published(portal)
    with pytest.raises(Unauthenticated):
        await peer.caller(old)
    await rotate(transactions)
    rows = await execute(portal_database, "SELECT id::text AS kid FROM signing_keys")
    assert len(rows) == 2
    assert key_of(old) not in {row["kid"] for row in rows}


async def test_two_processes_that_start_at_once_make_one_key(
    portal: ServiceClient, tokens: Tokens, portal_database: str
) -> None:
    await tokens.load()
    assert len(await execute(portal_database, "SELECT 1 FROM signing_keys")) == 1
    assert len(await published(portal)) == 1


@pytest.mark.parametrize("token", ["", "x.y.z", "local"])
async def test_the_portals_own_api_refuses_a_token_it_did_not_issue(
    portal: ServiceClient, tmp_path: Path, token: str
) -> None:
    if token == "local":
        token = Issuer(tmp_path).token(roles=["admin"], subject="eve")
    answer = await portal.get("/api/audits", headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 401


async def test_the_portals_own_api_takes_its_tokens_and_refuses_an_expired_one(
    portal: ServiceClient, add_user: AddUser, tokens: Tokens
) -> None:
    user = await add_user("operator")
    for lifetime, status in ((LIFETIME, 200), (timedelta(seconds=-6), 401)):
        token = await tokens.mint(user, lifetime)
        answer = await portal.get("/api/audits", headers={"Authorization": f"Bearer {token}"})
        assert answer.status_code == status, answer.text


async def test_a_token_that_was_changed_is_refused(
    portal: ServiceClient, add_user: AddUser, tokens: Tokens
) -> None:
    head, _, signature = (await tokens.mint(await add_user("buyer"))).split(".")
    claims = {"iss": "mercado-veiculo", "aud": "mercado-veiculo", "sub": "eve", "exp": 2**33}
    claims |= {"tenant": "default", "roles": ["admin"]}
    body = jwt.utils.base64url_encode(json.dumps(claims).encode()).decode()
    answer = await portal.get(
        "/api/audits", headers={"Authorization": f"Bearer {head}.{body}.{signature}"}
    )
    assert answer.status_code == 401
