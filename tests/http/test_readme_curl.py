"""The README's way to sign in from a terminal, run by a shell with the real curl."""

import json
import re
import subprocess
from pathlib import Path

from libs.kernel.clock import utc_now
from libs.kernel.ids import uuid7
from services.portal.application.create_user import create_user
from services.portal.infrastructure.passwords import Argon2Passwords
from tests.http.serving import Serving

README = Path(__file__).parents[2] / "README.md"
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


def script(served: Serving) -> str:
    """As it stands there, but for the addresses and the password."""
    found = re.search(r"^PORTAL=.*?(?=^```$)", README.read_text(), re.MULTILINE | re.DOTALL)
    assert found, "the README has no such block"
    return (
        found[0]
        .replace("http://127.0.0.1:8086", served.addresses["portal"])
        .replace("http://127.0.0.1:8000", served.addresses["orders"])
        .replace('"PASSWORD"', f'"{PASSWORD}"')
    )


def test_the_readmes_commands_sign_in_use_a_token_and_sign_out(
    served: Serving, tmp_path: Path
) -> None:
    served.wait(add_operator(served))
    tried = f"curl -s -b session.txt {served.addresses['portal']}/api/sessions"
    done = subprocess.run(
        ["bash", "-e", "-c", f"{script(served)}\necho\n{tried}"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    listed, after = done.stdout.splitlines()
    assert "items" in json.loads(listed), listed
    assert '"status":401' in after, "signed out"
