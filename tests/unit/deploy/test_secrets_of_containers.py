"""The job `secrets` of compose.yaml gives each container only the secrets that it needs."""

import json
from pathlib import Path

import pytest

from deploy.backup import sealed
from deploy.docker import volumes
from deploy.installation import Installation
from deploy.passwords import Passwords
from deploy.services import SERVICES, ServiceSpec, service_named
from libs.runtime.start_failure import StartFailure

WATCHERS = ("prometheus", "grafana", "exporter")
SERVERS = ("db", "rabbitmq", "pgbouncer")
OTHERS = (*SERVERS, *volumes.HANDED, *WATCHERS)


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    everything, own = tmp_path / "secrets", tmp_path / "own"
    everything.mkdir()
    for name in (*OTHERS, *(spec.name for spec in SERVICES)):
        (own / name).mkdir(parents=True)
    volumes.make_up(everything, own)
    return everything, own


def known(folder: Path) -> dict[str, str]:
    found: dict[str, str] = json.loads((folder / "secrets.json").read_text())
    return found


def of(folder: Path) -> Installation:
    return volumes.installation(Passwords(folder / "secrets.json"))


@pytest.mark.parametrize("spec", SERVICES, ids=lambda spec: spec.name)
def test_a_service_knows_its_own_secrets_and_no_others(
    spec: ServiceSpec, folders: tuple[Path, Path]
) -> None:
    everything, own = folders[0], folders[1] / spec.name

    own_names = {name for name in known(own) if spec.name in name.replace("_", " ").split()}
    assert known(own).keys() - own_names == ({"rabbitmq operator"} if spec.is_portal else set())
    assert f"{spec.name}_migrator" not in known(own)
    before = known(own)
    assert of(own).settings(spec, "", 0) == of(everything).settings(spec, "", 0)
    assert known(own) == before, "nothing was made up beside"


@pytest.mark.parametrize("service", [spec.name for spec in SERVICES if spec.seals_personal_data])
def test_a_service_whose_data_key_was_replaced_starts_with_what_it_was_handed(
    service: str, folders: tuple[Path, Path]
) -> None:
    everything, own = Passwords(folders[0] / "secrets.json"), folders[1]
    everything.add_key(f"{service} data")
    everything.retire_old_keys(f"{service} data")

    volumes.make_up(folders[0], own)

    before, spec = known(own / service), service_named(service)
    assert of(own / service).settings(spec, "", 0) == of(folders[0]).settings(spec, "", 0)
    assert known(own / service) == before, "nothing was made up beside"


def test_jobs_have_what_they_need_and_no_key_of_the_data(folders: tuple[Path, Path]) -> None:
    everything, own = folders
    for name in ("databases", "broker", "tests"):
        assert not [each for each in known(own / name) if each.endswith((" data", " index"))]
    assert of(own / "databases").database_accounts() == of(everything).database_accounts()
    assert of(own / "databases").superuser_url == of(everything).superuser_url
    assert of(own / "broker").administration() == of(everything).administration()
    assert known(own / "tests").keys() == {"postgres", "rabbitmq administrator"}
    assert known(own / "broker").keys() < known(everything).keys()


def test_the_job_that_finishes_a_restore_can_erase_and_the_backup_job_can_record(
    folders: tuple[Path, Path],
) -> None:
    everything, own = folders
    customers, portal = service_named("customers"), service_named("portal")
    restored, backup = of(own / "restored"), of(own / "backup")
    assert restored.settings(customers, "", 0) == of(everything).settings(customers, "", 0)
    assert restored.superuser_url == of(everything).superuser_url
    assert backup.settings(portal, "", 0) == of(everything).settings(portal, "", 0)
    assert backup.backup_account() == of(everything).backup_account()
    for name, keys in (("restored", "customers"), ("backup", "portal")):
        sealing = {each for each in known(own / name) if each.endswith((" data", " index"))}
        assert sealing == {f"{keys} data", f"{keys} index"}


def test_backups_get_all_keys_but_cannot_read_them(
    folders: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    everything, own = folders
    place = own / "backup" / volumes.SEALED_KEYS
    assert not place.exists()
    identity = sealed.new_identity()
    monkeypatch.setenv("BACKUP_RECIPIENT", sealed.recipient_of(identity))
    for _ in range(2):
        volumes.make_up(everything, own)
    with sealed.opened(place, identity) as stream:
        assert json.loads(stream.read()) == known(everything)
    monkeypatch.setenv("BACKUP_RECIPIENT", "age1nobody")
    with pytest.raises(StartFailure, match=r"^BACKUP_RECIPIENT: 'age1nobody' is no age recipient"):
        volumes.make_up(everything, own)
    monkeypatch.delenv("BACKUP_RECIPIENT")
    volumes.make_up(everything, own)
    assert not place.exists()


def test_servers_get_files_that_their_users_can_read_and_nothing_else(
    folders: tuple[Path, Path],
) -> None:
    everything, own = known(folders[0]), folders[1]
    assert (own / "db" / "postgres").read_text() == everything["postgres"]
    settings = (own / "rabbitmq" / "conf.d" / "mercado.conf").read_text()
    assert f"default_pass = {everything['rabbitmq administrator']}\n" in settings
    users = (own / "pgbouncer" / "userlist.txt").read_text()
    assert f'"orders_app" "{everything["orders_app"]}"\n' in users
    assert everything["postgres"] not in users
    assert everything["orders_migrator"] not in users
    for name in ("db", "rabbitmq", "pgbouncer", *WATCHERS):
        assert not (own / name / "secrets.json").exists()
        for file in (own / name).rglob("*.*"):
            assert file.is_dir() or file.stat().st_mode & 0o777 == 0o644


def test_made_up_again_all_stay_as_they_are_and_what_is_not_needed_goes(
    folders: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    everything, own = folders
    (own / "orders" / "secrets.json").write_text('{"postgres": "of an earlier release"}')
    (everything / "postgres").write_text("of an earlier release")
    before = known(everything)
    monkeypatch.setenv("AUTH", "on")

    volumes.make_up(everything, own)

    assert known(everything) == before
    assert "postgres" not in known(own / "orders")
    assert not (everything / "postgres").exists()
    assert (own / "orders" / "auth").read_text() == "on"


def test_watchers_get_their_configuration_and_the_password_of_their_own_account(
    folders: tuple[Path, Path],
) -> None:
    everything, own = known(folders[0]), folders[1]
    assert (own / "exporter" / "password").read_text() == everything["exporter"]
    assert of(own / "databases").exporter_account().password == everything["exporter"]
    assert (own / "grafana" / "password").read_text() == everything["grafana admin"]
    passwords = {each for name, each in everything.items() if name not in ("exporter", "auth")}
    told = "".join(
        file.read_text()
        for name in WATCHERS
        for file in (own / name).rglob("*")
        if file.is_file() and file != own / "grafana" / "password"
    )
    assert not [each for each in passwords if each in told]
    asked = json.loads((own / "prometheus" / "prometheus.yml").read_text())["scrape_configs"]
    assert {each["job_name"] for each in asked} == {
        *(spec.name for spec in SERVICES),
        *("rabbitmq", "rabbitmq-queues", "postgres"),
    }


def test_each_client_trusts_the_authority_whose_key_no_container_has(
    folders: tuple[Path, Path],
) -> None:
    everything, own = folders
    certificate = (everything / "authority" / "ca.pem").read_text()
    for name in ("databases", "broker", "checker", "tests", *(spec.name for spec in SERVICES)):
        assert (own / name / "authority" / "ca.pem").read_text() == certificate
        assert "sslmode=verify-full" in of(own / name).database_url("x", "y")
        assert of(own / name).broker_url("x").startswith("amqps://")
        assert of(own / name).management_url.startswith("https://")
    assert [file.name for file in own.rglob("ca.key")] == []
    assert {file.parent.name for file in own.rglob("server.pem")} == set(SERVERS)


def test_certificates_stay_until_they_are_renewed(folders: tuple[Path, Path]) -> None:
    everything, own = folders
    before = [(own / name / "server.pem").read_bytes() for name in SERVERS]
    volumes.make_up(everything, own)
    assert [(own / name / "server.pem").read_bytes() for name in SERVERS] == before
    assert volumes.renew_certificates(everything, own).keys() == set(SERVERS)
    after = [(own / name / "server.pem").read_bytes() for name in SERVERS]
    assert not set(before) & set(after)
