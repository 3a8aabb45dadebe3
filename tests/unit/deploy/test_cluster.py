"""The cluster on this machine reports what is missing before it starts anything."""

from pathlib import Path

import pytest

from deploy.cluster import network, system
from deploy.cluster.plan import MACHINES, REPLICAS
from deploy.local.state import NotUp
from deploy.servers.ports import Ports
from deploy.servers.processes import StartFailed


def test_everything_to_install_is_named_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(system, "PROGRAMS", {"no-etcd": "etcd-server", "no-haproxy": "haproxy"})

    with pytest.raises(StartFailed) as said:
        system.check_programs()

    assert str(said.value).endswith("sudo apt-get install etcd-server haproxy")


def test_a_user_who_is_not_root_learns_that_only_root_can(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("deploy.cluster.network.os.geteuid", lambda: 1000)

    with pytest.raises(StartFailed, match="only root"):
        network.check_rights()


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (None, "no cluster is up: ./taskw cluster up starts one"),
        ("", "cannot be read"),
        ("[]", "cannot be read"),
        ('{"network": 1}', "cannot be read"),
    ],
)
def test_a_cluster_that_is_not_there_or_not_to_be_read_is_one_line(
    tmp_path: Path, text: str | None, sentence: str
) -> None:
    if text is not None:
        (tmp_path / "cluster.json").write_text(text)

    with pytest.raises(NotUp, match=sentence):
        system.load_plan(tmp_path)


def test_a_plan_is_read_as_it_was_written_and_gives_each_process_a_port(tmp_path: Path) -> None:
    plan = system.new_plan(Ports(), "asynchronous")
    plan.save(tmp_path)

    assert system.load_plan(tmp_path) == plan
    ports = [plan.management, *plan.services.values(), *plan.replicas.values()]
    assert len(set(ports)) == len(ports)
    assert set(plan.replicas) == {each.name for each in REPLICAS}
    assert len(set(MACHINES.values())) == len(MACHINES)
