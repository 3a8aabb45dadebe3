"""The `gcp:` tasks call the right programs in the right order. The programs here only record their
calls. Two tests start them; the others fake them in their own process.
"""

import json
import shutil
from pathlib import Path
from threading import Barrier

import pytest

from deploy.gcp.catalogue import JOBS, catalogue
from deploy.services import SERVICES
from tests.unit.gcp import programs
from tests.unit.gcp.fakes import Clouds, Finished

SETUP = (
    *("setup", "--project=a-project", "--region=southamerica-east1"),
    "--broker=amqps://somebody@broker.example:5671",
)
IMAGE = f"here-docker.pkg.dev/a-project/mercado/mercado-veiculo@sha256:{'1' * 64}"
TASKS = (
    "setup-backend",
    "deploy",
    "deploy-sql",
    "deploy-code",
    "destroy",
    "destroy-sql",
    "destroy-app",
)


@pytest.fixture
def clouds(tmp_path: Path) -> Clouds:
    """Return a project in which nothing was done yet."""
    found = Clouds(tmp_path / "new")
    found.make([spec.name for spec in SERVICES])
    return found


@pytest.fixture(scope="module")
def deployed_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = Clouds(tmp_path_factory.mktemp("deployed") / "once")
    found.make([spec.name for spec in SERVICES])
    set_up(found)
    done(found, "deploy")
    found.forget_calls()
    return found.folder


@pytest.fixture
def deployed(deployed_once: Path, tmp_path: Path) -> Clouds:
    """Return a project in which everything runs."""
    return Clouds(Path(shutil.copytree(deployed_once, tmp_path / "deployed")))


def done(clouds: Clouds, *words: str, answer: str = "") -> str:
    finished = clouds.run(*words, answer=answer)
    assert finished.code == 0, finished.errors
    return finished.output


def refused(clouds: Clouds, *words: str, answer: str = "") -> str:
    return line_of(clouds.run(*words, answer=answer))


def line_of(finished: Finished) -> str:
    assert finished.code == 1, finished.output
    told = [line for line in finished.errors.splitlines() if line.startswith("error: ")]
    assert len(told) == 1, finished.errors
    assert "Traceback" not in finished.errors
    return told[0]


def set_up(clouds: Clouds, stage: str = "homologation") -> None:
    done(clouds, *SETUP, f"--stage={stage}")
    done(clouds, "setup-backend")
    clouds.forget_calls()


def order(clouds: Clouds, *wanted: str) -> None:
    """Check that the calls contain these texts, one after the other."""
    rest = iter(clouds.calls)
    for text in wanted:
        assert any(text in call for call in rest), f"{text} in its place of {clouds.calls}"


def test_setup_keeps_the_brokers_password_in_the_cloud_and_nowhere_else(clouds: Clouds) -> None:
    done(clouds, *SETUP, "--stage=homologation")
    kept = json.loads(clouds.state["secrets"]["homologation-passwords"][-1])
    assert kept == {"rabbitmq somebody": "of-the-broker"}
    for file in (clouds.folder / ".gcp").rglob("*"):
        assert file.is_dir() or "of-the-broker" not in file.read_text()
    assert not [call for call in clouds.calls if "of-the-broker" in call]


def test_setup_again_loses_no_password(deployed: Clouds) -> None:
    before = deployed.state["secrets"]["homologation-passwords"]
    done(deployed, *SETUP, "--stage=homologation")
    assert deployed.state["secrets"]["homologation-passwords"] == before
    assert len(json.loads(before[-1])) > 20


def test_the_bucket_of_the_state_is_closed_and_keeps_versions(clouds: Clouds) -> None:
    done(clouds, *SETUP, "--stage=homologation")
    done(clouds, "setup-backend")
    order(
        clouds,
        "buckets create gs://a-project-terraform-state --location=southamerica-east1"
        " --uniform-bucket-level-access --public-access-prevention",
        "buckets update gs://a-project-terraform-state --versioning",
        "init -input=false -reconfigure -backend-config=bucket=a-project-terraform-state",
        "workspace select -or-create homologation",
    )
    clouds.forget_calls()
    done(clouds, "setup-backend")
    assert not [call for call in clouds.calls if "buckets create" in call]


def test_a_deploy_makes_placeholders_first_then_pushes_migrates_and_updates(
    clouds: Clouds,
) -> None:
    set_up(clouds)
    finished = clouds.run_apart("deploy")
    assert finished.code == 0, finished.errors
    order(
        clouds,
        "gcloud services enable",
        '-var=parts=["sql"] -var=image= -var=job_image=',
        "gcloud sql users set-password postgres",
        "gcloud secrets versions add",
        '-var=parts=["app", "sql"] -var=image= -var=job_image= ',
        "docker build",
        "docker push",
        f"-var=image= -var=job_image={IMAGE}",
        "jobs execute homologation-databases",
        "jobs execute homologation-broker",
        f"-var=image={IMAGE} -var=job_image={IMAGE}",
    )
    assert "portal     https://portal.example" in finished.output
    assert "kpis" not in finished.output.partition("services with this image")[2]
    assert all(versions[-1] for versions in clouds.state["secrets"].values())


def test_every_secret_that_terraform_makes_a_place_for_gets_a_value(clouds: Clouds) -> None:
    set_up(clouds)
    done(clouds, "deploy-sql")
    wanted = {
        f"homologation-{each['name']}-{name.lower().replace('_', '-')}"
        for each in catalogue()["services"]
        for name in each["secrets"]
    }
    wanted |= {f"homologation-{job}-installation" for job in JOBS}
    kept = {"homologation-passwords", "homologation-database-authority"}
    assert set(clouds.state["secrets"]) == wanted | kept


def test_secrets_are_handed_out_several_at_a_time(
    clouds: Clouds, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_up(clouds)
    answer, meets, meeting = programs.answer, iter((True, True)), Barrier(2, timeout=10)

    def met(folder: Path, name: str, words: list[str], given: str) -> str:
        if "access" in words and "passwords" not in " ".join(words) and next(meets, False):
            meeting.wait()
        return answer(folder, name, words, given)

    monkeypatch.setattr(programs, "answer", met)
    done(clouds, "deploy")
    assert not next(meets, False)


def test_no_secret_stands_in_an_argument_or_on_the_screen(clouds: Clouds) -> None:
    set_up(clouds)
    printed = done(clouds, "deploy")
    passwords = json.loads(clouds.state["secrets"]["homologation-passwords"][-1])
    assert json.loads(clouds.given_to("gcloud sql users")[0]) == {
        "--password": passwords["postgres"]
    }
    seen = "\n".join([printed, *clouds.calls])
    assert not [name for name, value in passwords.items() if value in seen]


def test_a_job_is_handed_the_passwords_of_its_own_server_only(clouds: Clouds) -> None:
    set_up(clouds)
    done(clouds, "deploy-sql")
    secrets = clouds.state["secrets"]
    for job in JOBS:
        names = json.loads(secrets[f"homologation-{job}-installation"][-1])["passwords"]
        of_broker = {name for name in names if name.startswith("rabbitmq ")}
        assert of_broker == (set(names) if job == "broker" else set())
        assert not [name for name in names if name.endswith((" data", " index", " cursors"))]


def test_a_deploy_again_changes_no_secret_and_keeps_what_runs(deployed: Clouds) -> None:
    before = deployed.state["secrets"]
    deployed.forget_calls()
    done(deployed, "deploy")
    assert deployed.state["secrets"] == before
    applies = [call for call in deployed.calls if " apply " in call]
    assert all(f"-var=image={IMAGE}" in call for call in applies)


@pytest.mark.parametrize(
    ("at", "step", "before"),
    [
        ("services enable", "enable APIs", "Nothing was done before"),
        ("versions add homologation-orders", "passwords and secrets", "network, registry, data"),
        ("docker push", "build and push the image", "services with a placeholder image"),
        ("execute homologation-databases", "databases and migrations", "build and push the image"),
        (rf"apply .*-var=image={IMAGE}", "services with this image", "broker"),
    ],
)
def test_a_deploy_that_stops_half_way_says_where_and_goes_on(
    clouds: Clouds, at: str, step: str, before: str
) -> None:
    set_up(clouds)
    clouds.refuse(at)
    told = refused(clouds, "deploy")
    assert told.startswith(f"error: {step}")
    assert before in told
    assert told.endswith("To go on: ./taskw gcp:deploy")
    passwords = clouds.state["secrets"]["homologation-passwords"]
    clouds.refuse("")
    done(clouds, "deploy")
    assert clouds.state["outputs"]["image"] == IMAGE
    if len(passwords) > 1:
        assert clouds.state["secrets"]["homologation-passwords"] == passwords


def test_an_interrupted_deploy_says_where_it_was_and_goes_on(deployed: Clouds) -> None:
    deployed.refuse("docker push", "interrupt")
    told = line_of(deployed.run_apart("deploy-code"))
    assert told == (
        "error: build and push the image: interrupted. Nothing was done before."
        " To go on: ./taskw gcp:deploy-code"
    )
    deployed.refuse("", "interrupt")
    done(deployed, "deploy-code")


def test_where_migrations_wait_a_first_deploy_wants_an_approval_before_it_does_anything(
    clouds: Clouds,
) -> None:
    set_up(clouds, "production")
    assert refused(clouds, "deploy").endswith("./taskw gcp:deploy --approved-by NAME")
    assert not [call for call in clouds.calls if " apply " in call]
    assert "--approved-by takes" in refused(clouds, "deploy", "--approved-by=a b,c")
    done(clouds, "deploy", "--approved-by=ana")
    assert [call for call in clouds.calls if call.endswith("--args=--approved-by=ana")]


def test_a_later_migration_that_waits_is_approved_for_the_image_that_was_pushed(
    clouds: Clouds,
) -> None:
    set_up(clouds, "production")
    done(clouds, "deploy", "--approved-by=ana")
    clouds.refuse("execute production-databases(?!.*approved-by)")
    told = refused(clouds, "deploy-code")
    assert f"./taskw gcp:deploy-code --image {IMAGE} --approved-by NAME" in told
    clouds.forget_calls()
    done(clouds, "deploy-code", f"--image={IMAGE}", "--approved-by=ana")
    assert not [call for call in clouds.calls if call.startswith("docker")]
    order(clouds, "--args=--approved-by=ana", f"-var=image={IMAGE}")


def test_code_is_deployed_only_where_the_rest_is(clouds: Clouds) -> None:
    set_up(clouds)
    done(clouds, "deploy-sql")
    assert "not deployed yet: app: ./taskw gcp:deploy" in refused(clouds, "deploy-code")
    assert "--image takes" in refused(clouds, "deploy-code", "--image=mine:latest")


@pytest.mark.parametrize("task", ["destroy", "destroy-sql", "destroy-app"])
def test_nothing_is_destroyed_without_a_yes(deployed: Clouds, task: str) -> None:
    before = deployed.state
    for answer in ("", "n\n", "\n", "yes please\n"):
        assert "nothing was destroyed" in refused(deployed, task, answer=answer), answer
        assert deployed.state == before, answer


@pytest.mark.parametrize(
    ("task", "parts", "image"),
    [("destroy-sql", ["app"], IMAGE), ("destroy-app", ["sql"], "")],
)
def test_a_part_is_destroyed_after_its_protection_is_lifted_and_the_rest_is_protected_again(
    deployed: Clouds, task: str, parts: list[str], image: str
) -> None:
    deployed.forget_calls()
    printed = done(deployed, task, answer="y\n")
    assert "This destroys in homologation of a-project: " in printed
    applies = [call for call in deployed.calls if " apply " in call]
    assert ["-var=protected=false" in call for call in applies] == [True, False]
    assert deployed.state["outputs"]["parts"] == parts
    assert deployed.state["outputs"]["image"] == image
    assert "nothing to destroy" in done(deployed, task)
    done(deployed, "deploy")
    assert deployed.state["outputs"]["parts"] == ["app", "sql"]


def test_a_destroyed_system_leaves_the_erasure_ledger_and_comes_back_with_it(
    deployed: Clouds,
) -> None:
    passwords = deployed.state["secrets"]["homologation-passwords"]
    printed = done(deployed, "destroy", "--yes")
    assert "a-project-homologation-erasures" in printed
    order(deployed, "-var=protected=false", "state rm google_storage_bucket.ledger", " destroy ")
    assert deployed.state["outputs"] == {}
    done(deployed, "deploy")
    order(deployed, " import ", f"-var=image={IMAGE}")
    assert deployed.state["secrets"]["homologation-passwords"] == passwords


def test_a_destroy_that_stops_half_way_says_so_and_goes_on(deployed: Clouds) -> None:
    deployed.refuse("terraform .* destroy ")
    told = refused(deployed, "destroy", "--yes")
    assert "Done before: lift the protection. To go on: ./taskw gcp:destroy" in told
    deployed.refuse("")
    done(deployed, "destroy", "--yes")
    assert deployed.state["outputs"] == {}


@pytest.mark.parametrize("task", TASKS)
def test_without_a_setup_a_task_says_so_and_calls_nobody(clouds: Clouds, task: str) -> None:
    assert refused(clouds, task).endswith("no project was set up here: ./taskw gcp:setup")
    assert not clouds.calls


@pytest.mark.parametrize(
    ("at", "told"),
    [
        ("auth print-access-token", "nobody is signed in to Google Cloud: gcloud auth login"),
        ("projects describe", "project a-project is not there, or you may not see it: ERROR: (gc"),
    ],
)
@pytest.mark.parametrize("task", TASKS)
def test_without_a_login_or_a_project_a_task_says_so(
    clouds: Clouds, task: str, at: str, told: str
) -> None:
    set_up(clouds)
    clouds.refuse(at)
    assert told in refused(clouds, task)
    assert not [call for call in clouds.calls if "apply" in call]


@pytest.mark.parametrize(
    ("tool", "task"),
    [("gcloud", "destroy"), ("terraform", "deploy-sql"), ("docker", "deploy"), ("docker", "setup")],
)
def test_a_missing_tool_is_named_with_the_place_to_get_it(
    clouds: Clouds, tool: str, task: str
) -> None:
    set_up(clouds)
    clouds.remove(tool)
    assert f"error: {tool} is not in the PATH: https://" in refused(clouds, task)
    assert not clouds.calls


def test_without_a_docker_engine_a_deploy_does_nothing(clouds: Clouds) -> None:
    set_up(clouds)
    clouds.refuse("docker version")
    assert "no Docker engine answers" in refused(clouds, "deploy")
    assert not [call for call in clouds.calls if "apply" in call]


def test_without_a_backend_a_deploy_says_which_task_makes_it(clouds: Clouds) -> None:
    done(clouds, *SETUP, "--stage=homologation")
    assert refused(clouds, "deploy").endswith("./taskw gcp:setup-backend")


def test_a_missing_right_is_reported_with_the_clouds_own_words(clouds: Clouds) -> None:
    done(clouds, *SETUP, "--stage=homologation")
    clouds.refuse("buckets create")
    told = refused(clouds, "setup-backend")
    assert "PERMISSION_DENIED: somebody has to allow it. Nothing was done before." in told


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--stage=test",), "the stage 'test' is not one of homologation, production"),
        (("--stage=production", "--project=A"), "'A' cannot be a project"),
        (("--stage=production", "--region=Brazil"), "'Brazil' cannot be a region"),
        (("--stage=production", "--broker=amqp://a@b"), "--broker takes amqps://USER@HOST:PORT"),
        (("--stage=production", "--broker=amqps://a@b:x"), "--broker takes amqps://USER@HOST:"),
        (("--stage=production", "--broker=amqps://a:b@c"), "--broker takes no password"),
        ((), "--stage is needed: there is no terminal to ask for it"),
    ],
)
def test_a_wrong_answer_to_setup_is_one_line(
    clouds: Clouds, words: tuple[str, ...], told: str
) -> None:
    assert told in refused(clouds, *SETUP, *words)
    assert not (clouds.folder / ".gcp").exists()


def test_a_setup_that_cannot_be_read_is_reported(clouds: Clouds) -> None:
    (clouds.folder / ".gcp").mkdir()
    (clouds.folder / ".gcp" / "setup.json").write_text("{")
    assert "cannot be read: ./taskw gcp:setup" in refused(clouds, "deploy")
