"""The pages are valid HTML for the checker of the W3C."""

import asyncio
import json
import shutil
import subprocess
from pathlib import Path
from uuid import uuid4

import pytest

from services.portal.domain.user import ROLES, User
from tests.fixtures.whole_market import WholeMarket, person
from tests.security.things import new_vehicle

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.long,
    pytest.mark.timeout(300),
    pytest.mark.skipif(
        shutil.which("npm") is None or shutil.which("java") is None,
        reason="there is no npm or no java",
    ),
]

CHECKER = "vnu-jar@26.9.27"
FOR_ANYBODY = ("/", "/sign-in", "/register", "/forgot-password", "/nowhere", "/?make=none")
FOR_USERS = (
    *("/", "/account", "/purchases", "/sell", "/sell/new", "/imports", "/kpis", "/operations"),
    *("/map", "/map?views=1", "/audits", "/audits/verification", "/submissions", "/users"),
)


@pytest.fixture(scope="module")
def checker(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("checker")
    (folder / "package.json").write_text("{}")
    subprocess.run(
        ["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", CHECKER],
        cwd=folder,
        check=True,
        capture_output=True,
    )
    (found,) = folder.rglob("vnu.jar")
    return found


@pytest.mark.parametrize("locale", ["en", "pt", "es"])
async def test_pages_are_valid_html(
    market: WholeMarket, checker: Path, tmp_path: Path, locale: str
) -> None:
    user: User = await market.signed_up(person(*ROLES, tenant="default"))
    key = {"Idempotency-Key": uuid4().hex}
    made = await market.ask(
        user, "vehicles", "POST", "/vehicles", json=new_vehicle(user.id), headers=key
    )
    vehicle = made.headers["Location"]
    own = (*FOR_USERS, vehicle, vehicle.replace("/vehicles", "/sell"), f"/users/{user.id}")
    for person_, paths in ((None, (*FOR_ANYBODY, vehicle)), (user, own)):
        browser = await market.browser(person_)
        browser.cookies.set("locale", locale)
        for number, path in enumerate(paths):
            page = await browser.get(path)
            assert page.headers["Content-Type"].startswith("text/html"), path
            name = f"{'user' if person_ else 'anybody'}-{number}.html"
            (tmp_path / name).write_text(page.text)
    errors = await asyncio.to_thread(errors_in, tmp_path, checker)
    assert not errors, "\n".join(errors)


def errors_in(pages: Path, checker: Path) -> list[str]:
    """Return each error once, with the first place where it occurs."""
    done = subprocess.run(
        ["java", "-jar", str(checker), "--format", "json", "--exit-zero-always", str(pages)],
        capture_output=True,
        text=True,
        check=True,
    )
    errors = {
        each["message"]: f"{each['message']} {each['url'].rpartition('/')[2]}: {each['extract']}"
        for each in reversed(json.loads(done.stderr)["messages"])
        if each["type"] == "error"
    }
    return list(errors.values())
