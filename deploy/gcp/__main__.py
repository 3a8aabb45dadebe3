"""python -m deploy.gcp COMMAND runs a task below `gcp:`. deploy/README.md says what it needs."""

import os
import re
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated
from urllib.parse import urlsplit

import typer

from deploy.gcp.catalogue import TERRAFORM
from deploy.gcp.cloud import PINNED, Cloud, Setup
from deploy.gcp.inside import APPROVED
from deploy.gcp.tools import Refused, Steps, ask, check_tools
from deploy.local.migrating import APPROVER

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False, add_completion=False)
STAGES = sorted(path.stem for path in TERRAFORM.glob("*.tfvars"))
PROJECT = re.compile(r"[a-z][a-z0-9-]{4,28}[a-z0-9]")
REGION = re.compile(r"[a-z]+-[a-z]+[0-9]+")

Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]
ApprovedBy = Annotated[
    str | None,
    typer.Option(help="A sign-in name: who approves the pending migrations. It goes into audits."),
]


@app.command()
def setup(
    project: Annotated[str | None, typer.Option(help="The project's ID.")] = None,
    region: Annotated[str | None, typer.Option(help="Such as southamerica-east1.")] = None,
    stage: Annotated[str | None, typer.Option(help=" or ".join(STAGES))] = None,
    broker: Annotated[str | None, typer.Option(help="amqps://USER@HOST:PORT, no password.")] = None,
    management: Annotated[
        str | None, typer.Option(help="HOST:PORT of the broker's management, over TLS.")
    ] = None,
) -> None:
    """Note the project and the broker, and put the passwords into Secret Manager."""
    check_tools("gcloud", "terraform", "docker")
    chosen = _chosen(
        _answer("--project", "Project ID", project),
        _answer("--region", "Region", region),
        _answer("--stage", f"Stage ({', '.join(STAGES)})", stage),
        _answer("--broker", "Broker (amqps://USER@HOST:PORT)", broker),
        management,
    )
    cloud, steps = Cloud(chosen), Steps("./taskw gcp:setup")
    cloud.check()
    password = os.environ.get("BROKER_PASSWORD") or _hidden()
    with steps.step("enable APIs"):
        cloud.enable_apis()
    with steps.step("keep the passwords in Secret Manager"):
        cloud.keep_broker_password(password)
    chosen.write()
    print(f"{chosen.stage} in {chosen.project}; next: ./taskw gcp:setup-backend")


@app.command("setup-backend")
def setup_backend() -> None:
    """Make the bucket for Terraform's state, and tell Terraform of it."""
    cloud, steps = _signed_in(), Steps("./taskw gcp:setup-backend")
    with steps.step("bucket for the state"):
        cloud.make_state_bucket()
    with steps.step("terraform init"):
        cloud.use_state_bucket()
    print(f"the state is in gs://{cloud.state_bucket}; next: ./taskw gcp:deploy")


@app.command()
def deploy(approved_by: ApprovedBy = None) -> None:
    """Make database, placeholders, image, migrations and services. Running it again is safe."""
    _check_approver(approved_by)
    cloud = _ready(docker=True)
    if cloud.waits_for_approval and not cloud.outputs().get("image") and not approved_by:
        raise Refused(
            f"in {cloud.setup.stage} migrations wait for an approval, the first ones too:"
            " ./taskw gcp:deploy --approved-by NAME"
        )
    steps = Steps(f"./taskw gcp:deploy{_approval(approved_by)}")
    _database(cloud, steps)
    if "app" not in cloud.parts():
        with steps.step("services with a placeholder image"):
            cloud.apply({"sql", "app"})
    _code(cloud, steps, None, approved_by)


@app.command("deploy-sql")
def deploy_sql() -> None:
    """Make the database and hand out its addresses and passwords."""
    cloud = _ready()
    _database(cloud, Steps("./taskw gcp:deploy-sql"))
    print(f"the database is {cloud.outputs()['database']['instance']}")
    if "app" in cloud.parts():
        print("a new database is empty: ./taskw gcp:deploy-code prepares it")


@app.command("deploy-code")
def deploy_code(
    image: Annotated[
        str | None, typer.Option(help="One that was pushed before, NAME@sha256:…; builds none.")
    ] = None,
    approved_by: ApprovedBy = None,
) -> None:
    """Build and push the image, migrate, and give it to the services."""
    _check_approver(approved_by)
    if image is not None and not PINNED.fullmatch(image):
        raise Refused("--image takes a name with its digest: NAME@sha256:…")
    cloud = _ready(docker=image is None)
    missing = {"sql", "app"} - cloud.parts()
    if missing:
        raise Refused(f"not deployed yet: {', '.join(sorted(missing))}: ./taskw gcp:deploy")
    again = f"./taskw gcp:deploy-code{f' --image {image}' if image else ''}{_approval(approved_by)}"
    _code(cloud, Steps(again), image, approved_by)


@app.command()
def destroy(yes: Yes = False) -> None:
    """Destroy services, database, network and images, after a question."""
    cloud = _ready()
    stay = f"gs://{cloud.ledger_bucket}, gs://{cloud.state_bucket}, {cloud.passwords_secret}"
    _confirm(
        cloud,
        f"services, database, network, images and secrets. What stays: {stay}, the backups",
        yes=yes,
    )
    steps = Steps("./taskw gcp:destroy")
    if parts := cloud.parts():
        with steps.step("lift the protection"):
            cloud.apply(parts, protected=False)
    with steps.step("destroy"):
        cloud.destroy()


@app.command("destroy-sql")
def destroy_sql(yes: Yes = False) -> None:
    """Destroy the database, after a question; its backups stay."""
    _without(
        "sql", "the database with all its data. What stays: its backups", "destroy-sql", yes=yes
    )


@app.command("destroy-app")
def destroy_app(yes: Yes = False) -> None:
    """Destroy services, pools and jobs, after a question; the data stays."""
    _without("app", "services, pools and jobs. What stays: the database", "destroy-app", yes=yes)


def _without(part: str, what: str, task: str, *, yes: bool) -> None:
    cloud = _ready()
    parts = cloud.parts()
    if part not in parts:
        print("nothing to destroy")
        return
    _confirm(cloud, what, yes=yes)
    steps = Steps(f"./taskw gcp:{task}")
    with steps.step("lift the protection"):
        cloud.apply(parts, protected=False)
    with steps.step("destroy"):
        none = "" if part == "app" else None
        cloud.apply(parts - {part}, image=none, job_image=none)
    if parts - {part} == {"app"}:
        print("the services wait for a database: ./taskw gcp:deploy-sql, or gcp:destroy-app")


def _database(cloud: Cloud, steps: Steps) -> None:
    with steps.step("enable APIs"):
        cloud.enable_apis()
    with steps.step("network, registry, database"):
        cloud.apply({"sql", *cloud.parts()})
    with steps.step("passwords and secrets"):
        cloud.hand_out_secrets()


def _code(cloud: Cloud, steps: Steps, image: str | None, approved_by: str | None) -> None:
    parts = cloud.parts()
    if image is None:
        with steps.step("build and push the image"):
            image = cloud.build_and_push(f"{datetime.now(UTC):%Y%m%d-%H%M%S}")
    with steps.step(f"jobs with {image}"):
        cloud.apply(parts, job_image=image)
    with steps.step("databases and migrations"):
        try:
            cloud.run_job("databases", *([APPROVED + approved_by] if approved_by else []))
        except Refused as error:
            if not cloud.waits_for_approval or approved_by:
                raise
            raise Refused(
                f"{error}. Where its log says that a migration is pending, approve this image:"
                f" ./taskw gcp:deploy-code --image {image} --approved-by NAME"
            ) from None
    with steps.step("broker"):
        cloud.run_job("broker")
    with steps.step("services with this image"):
        cloud.apply(parts, image=image)
    known = cloud.outputs()
    for name in sorted(known["public"]):
        print(f"{name:<10} {known['urls'][name]}")


def _signed_in(*, docker: bool = False) -> Cloud:
    check_tools("gcloud", "terraform", *(["docker"] if docker else []))
    cloud = Cloud(Setup.kept())
    cloud.check()
    return cloud


def _ready(*, docker: bool = False) -> Cloud:
    cloud = _signed_in(docker=docker)
    cloud.check_backend()
    if docker:
        try:
            ask("docker", "version", "--format={{.Server.Version}}")
        except Refused as error:
            raise Refused(f"no Docker engine answers: {error}") from None
    return cloud


def _chosen(project: str, region: str, stage: str, broker: str, management: str | None) -> Setup:
    for name, value, wanted in (("project", project, PROJECT), ("region", region, REGION)):
        if not wanted.fullmatch(value):
            raise Refused(f"{value!r} cannot be a {name}")
    if stage not in STAGES:
        raise Refused(f"the stage {stage!r} is not one of {', '.join(STAGES)}")
    try:
        url = urlsplit(broker)
        host, port = url.hostname, url.port or 5671
    except ValueError:
        host, port = None, 0
    if host is None or url.scheme != "amqps" or not url.username:
        raise Refused("--broker takes amqps://USER@HOST:PORT")
    if url.password:
        raise Refused("--broker takes no password: it is asked for, or BROKER_PASSWORD")
    return Setup(
        project, region, stage, f"{host}:{port}", management or f"{host}:443", url.username
    )


def _answer(option: str, question: str, value: str | None) -> str:
    if value is not None:
        return value
    if not sys.stdin.isatty():
        raise Refused(f"{option} is needed: there is no terminal to ask for it")
    return str(typer.prompt(question))


def _hidden() -> str:
    if not sys.stdin.isatty():
        raise Refused("BROKER_PASSWORD is needed: there is no terminal to ask for it")
    return str(typer.prompt("Password of the broker's user", hide_input=True))


def _check_approver(name: str | None) -> None:
    if name is not None and not APPROVER.fullmatch(name):
        raise Refused("--approved-by takes a sign-in name of letters, digits, '.', '_' and '-'")


def _approval(name: str | None) -> str:
    return f" --approved-by {name}" if name else ""


def _confirm(cloud: Cloud, what: str, *, yes: bool) -> None:
    print(f"This destroys in {cloud.setup.stage} of {cloud.setup.project}: {what}.", flush=True)
    if yes:
        return
    try:
        answer = input("Destroy it? [y/N] ")
    except EOFError:
        answer = ""
        print()
    if answer.strip().lower() not in ("y", "yes"):
        raise Refused("nothing was destroyed (--yes destroys without a question)")


def main(run: Callable[[], object] = app) -> None:
    """End what cannot be done with exit code 1 and one line."""
    try:
        run()
    except (Refused, KeyboardInterrupt) as error:
        print(f"error: {' '.join(str(error).split()) or 'interrupted'}", file=sys.stderr)
        raise SystemExit(1) from None


if __name__ == "__main__":
    main()
