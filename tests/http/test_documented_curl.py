"""The documents' commands for a terminal work in a shell with the real curl."""

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any
from uuid import UUID

from deploy.services import SERVICES
from libs.kernel.clock import utc_now
from libs.kernel.ids import uuid7
from services.portal.application.create_user import create_user
from services.portal.infrastructure.identity.passwords import Argon2Passwords
from tests.fixtures.whole_market import person
from tests.http.serving import Serving
from tests.security.things import new_vehicle

ROOT = Path(__file__).parents[2]
PASSWORD = "PASSWORD-of-the-operator"
EMAIL = "operator@mercado.example"


async def add_operator(served: Serving) -> None:
    password_hash = await Argon2Passwords().hash(PASSWORD)
    transactions = served.market.services["portal"].service.transactions
    await transactions.run(
        lambda uow: create_user(
            uow,
            tenant_id="default",
            name="Otávio Oliveira",
            email=EMAIL,
            password_hash=password_hash,
            roles=["operator"],
            locale="en",
            actor="test",
            new_id=uuid7,
            now=utc_now(),
        )
    )


def block(document: str, begins: str, served: Serving) -> str:
    """Return the block as the document has it, with the test's addresses and password."""
    text = (ROOT / document).read_text()
    found = re.search(rf"^{begins}.*?(?=^```$)", text, re.MULTILINE | re.DOTALL)
    assert found, f"{document} has no block that begins with {begins}"
    script = found[0].replace('"PASSWORD"', f'"{PASSWORD}"')
    for spec in SERVICES:
        script = script.replace(f"http://127.0.0.1:{spec.port}", served.addresses[spec.name])
    return script


def run(script: str, folder: Path) -> str:
    """Return the output of the commands. Their home is `folder`, where curl reads `.curlrc`."""
    return subprocess.run(
        ["bash", "-e", "-c", script],
        cwd=folder,
        env={**os.environ, "HOME": str(folder)},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    ).stdout


def objects(printed: str) -> list[Any]:
    """Return the JSON objects in the output, without the text between them."""
    found, rest = [], printed.strip()
    while rest:
        value, end = json.JSONDecoder().raw_decode(rest)
        found.append(value)
        rest = rest[end:].strip()
    return found


def test_the_commands_that_sign_in_use_a_token_and_sign_out(
    served: Serving, tmp_path: Path
) -> None:
    served.wait(add_operator(served))
    tried = f"curl -s -b session.txt {served.addresses['portal']}/api/sessions"
    signs_in = block("docs/running.md", "PORTAL=", served)
    listed, after = run(f"{signs_in}\necho\n{tried}", tmp_path).splitlines()
    assert "items" in json.loads(listed), listed
    assert '"status":401' in after, "signed out"


def test_the_commands_that_follow_a_purchase_buy_pay_and_cancel(
    served: Serving, tmp_path: Path
) -> None:
    """No event is published here: the test has each service consume the others' events."""
    market = served.market
    everybody = person("admin", "operator", tenant="default")
    (tmp_path / ".curlrc").write_text(f'header = "Authorization: {served.token(everybody)}"\n')
    served.wait(market.make(everybody, "vehicles", "/vehicles", new_vehicle(everybody.id)))

    asks = block("README.md", "ORDERS=", served)
    [asked] = objects(run(asks, tmp_path))
    purchase = UUID(asked["transaction_id"])
    assert asked["state"] == "REQUESTED"

    price = asked["total_cents"]
    reserved = {"customer_id": asked["customer_id"], "price_cents": price}
    served.wait(market.consumes("payments", "vehicle.reserved.v1", purchase, "default", **reserved))
    wanted = {"order_id": str(purchase)}
    code = served.wait(market.make(everybody, "payments", "/payment-codes", wanted))
    generated = {name: code[name] for name in ("code", "expires_at")}
    served.wait(
        market.consumes("orders", "payment.code_generated.v1", purchase, "default", **generated)
    )

    pays = block("README.md", "CODE=", served)
    known = "\n".join([*asks.splitlines()[:3], f"PURCHASE={purchase}"])
    accepted, state, cancelled = objects(run(f"{known}\n{pays}", tmp_path))
    assert accepted["amount_cents"] == price
    assert state["state"] == "AWAITING_PAYMENT"
    assert cancelled["cancelled_by_buyer"]
