"""The jobs in the cloud get their settings from their environment, and say in one line what is
missing.
"""

import json
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest

from deploy.gcp.held_passwords import HeldPasswords
from deploy.gcp.inside import CloudTrust, Servers, handed, installation_of, main
from deploy.local.migrating import apply_pending
from deploy.services import SERVICES
from libs.messaging.broker_url import parse_broker_url, parse_management_url
from libs.messaging.database_url import parse_database_url
from libs.messaging.plain_text import check_broker_is_private, check_database_is_private
from libs.runtime.start_failure import StartFailure
from tests.documents.sections import ROOT

SERVERS = Servers("10.0.0.3:5432", "broker.example:5671", "broker.example:443", "someone")
URLS = {spec.name: f"https://{spec.name}.example" for spec in SERVICES}


@pytest.mark.parametrize("spec", SERVICES, ids=lambda spec: spec.name)
def test_every_url_that_a_service_gets_is_tls_and_one_that_it_takes(spec) -> None:  # type: ignore[no-untyped-def]
    settings = installation_of(SERVERS, HeldPasswords({}), URLS).settings(spec, "", 0)
    database = parse_database_url(settings["DATABASE_URL"])
    assert database.query["sslmode"] == "verify-ca"
    assert str(database.query["sslrootcert"]) == str(CloudTrust().certificate)
    check_database_is_private(database, "required")
    assert parse_broker_url(settings["RABBITMQ_URL"]).scheme == "amqps"
    assert "?" not in settings["RABBITMQ_URL"] + settings["RABBITMQ_MANAGEMENT_URL"]
    parse_management_url(settings["RABBITMQ_MANAGEMENT_URL"])
    check_broker_is_private(settings["RABBITMQ_MANAGEMENT_URL"], "required")


def test_a_job_gets_the_installation_that_was_handed_to_it(tmp_path: Path) -> None:
    passwords = {"postgres": "one", "rabbitmq someone": "two"}
    file = tmp_path / "value"
    file.write_text(
        json.dumps({"servers": asdict(SERVERS), "passwords": passwords, "services": URLS})
    )
    found = handed(file)
    assert found.superuser_url.startswith("postgresql://postgres:one@10.0.0.3:5432/postgres?")
    assert found.management_url == "https://someone:two@broker.example:443"
    assert (
        found.broker_url(found.administrator) == "amqps://someone:two@broker.example:5671/mercado"
    )


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"servers": {}, "passwords": {}}', "null"])
def test_a_malformed_installation_is_one_line(tmp_path: Path, text: str) -> None:
    file = tmp_path / "value"
    with pytest.raises(StartFailure, match="No such file"):
        handed(file)
    file.write_text(text)
    with pytest.raises(StartFailure, match="is no installation"):
        handed(file)


@pytest.mark.parametrize("words", [[], ["serve"], ["serve", "nobody"], ["drop"], ["databases"]])
def test_a_wrong_start_is_one_line_and_exit_code_2(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end:
        main(words)
    told = capsys.readouterr()
    assert (end.value.code, told.out) == (2, "")
    assert told.err.startswith("error: ")
    assert told.err.count("\n") == 1


def test_a_generated_secret_stays_and_a_part_of_it_is_handed_on() -> None:
    everything = HeldPasswords({"a": "1"})
    part = HeldPasswords({}, of=everything)
    assert part.password("a") == "1"
    made = part.password("b")
    assert everything.known == {"a": "1", "b": made}
    assert part.known == {"a": "1", "b": made}
    assert HeldPasswords({}, of=everything).known == {}


def test_a_ledger_that_cannot_be_written_is_reported_at_the_start(tmp_path: Path) -> None:
    line = [sys.executable, "-m", "deploy.gcp.inside", "serve", "customers"]
    ledger = str(tmp_path / "nowhere" / "ledger.jsonl")
    told = _start(line, ERASURE_LEDGER=ledger)
    assert told == f"error: the folder of the erasure ledger, {tmp_path}/nowhere, cannot be written"


def test_an_approval_that_is_no_sign_in_name_is_refused() -> None:
    with pytest.raises(StartFailure, match="--approved-by takes a sign-in name"):
        apply_pending(installation_of(SERVERS, HeldPasswords({}), URLS), "Ana Lima")


def _start(line: list[str], **environment: str) -> str:
    done = subprocess.run(
        line, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    return done.stderr.strip()
