"""A cloud is one stage in one project of Google Cloud, with the operations on it."""

import json
import re
import tempfile
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from deploy.gcp.catalogue import JOBS, ROOT, TERRAFORM, secrets_of
from deploy.gcp.held_passwords import HeldPasswords
from deploy.gcp.inside import Servers, installation_of
from deploy.gcp.tools import Refused, ask, show
from deploy.installation import CHOREOGRAPHY, OPERATOR, SUPERUSER
from deploy.services import SERVICES
from libs.messaging.saga.choreography import read

FOLDER = Path(".gcp")
"""This folder of the checkout says which project, and has Terraform's notes, but no secrets."""
SETUP = FOLDER / "setup.json"
APIS = tuple(
    f"{name}.googleapis.com"
    for name in (
        "artifactregistry",
        "cloudresourcemanager",
        "compute",
        "iam",
        "run",
        "secretmanager",
        "servicenetworking",
        "sqladmin",
        "storage",
    )
)
CALLS_AT_ONCE = 8
"""This many secrets are handed out at a time."""
LEDGER = "google_storage_bucket.ledger"
PINNED = re.compile(r"[^@\s]+@sha256:[0-9a-f]{64}")


@dataclass(frozen=True)
class Setup:
    """`setup` was given these values. The broker's addresses are `HOST:PORT`."""

    project: str
    region: str
    stage: str
    broker: str
    management: str
    administrator: str

    def write(self) -> None:
        FOLDER.mkdir(exist_ok=True)
        draft = SETUP.with_suffix(".draft")
        draft.write_text(json.dumps(asdict(self), indent=2) + "\n")
        draft.replace(SETUP)

    @classmethod
    def kept(cls) -> "Setup":
        """Return what `setup` has stored, or raise Refused."""
        try:
            return cls(**json.loads(SETUP.read_text()))
        except FileNotFoundError:
            raise Refused("no project was set up here: ./taskw gcp:setup") from None
        except (OSError, ValueError, TypeError):
            raise Refused(f"{SETUP} cannot be read: ./taskw gcp:setup writes it anew") from None


@dataclass(frozen=True)
class Cloud:
    """Every method raises Refused."""

    setup: Setup

    def check(self) -> None:
        """Check that somebody is signed in and may see the project."""
        self._token()
        try:
            self._gcloud("projects", "describe", self.setup.project, "--format=value(projectId)")
        except Refused as error:
            raise Refused(
                f"project {self.setup.project} is not there, or you may not see it: {error}"
            ) from None

    def check_backend(self) -> None:
        """Check that Terraform knows where its state is, and works on this stage."""
        try:
            found = self._terraform("workspace", "show")
        except Refused:
            found = ""
        if found != self.setup.stage:
            raise Refused("Terraform does not know its state yet: ./taskw gcp:setup-backend")

    def enable_apis(self) -> None:
        self._gcloud("services", "enable", *APIS)

    # Terraform's state

    @property
    def state_bucket(self) -> str:
        return f"{self.setup.project}-terraform-state"

    def make_state_bucket(self) -> None:
        url = f"gs://{self.state_bucket}"
        if not self._has_bucket(self.state_bucket):
            where = f"--location={self.setup.region}"
            closed = ("--uniform-bucket-level-access", "--public-access-prevention")
            self._gcloud("storage", "buckets", "create", url, where, *closed)
        self._gcloud("storage", "buckets", "update", url, "--versioning")

    def use_state_bucket(self) -> None:
        bucket = f"-backend-config=bucket={self.state_bucket}"
        self._terraform_shown("init", "-input=false", "-reconfigure", bucket)
        self._terraform("workspace", "select", "-or-create", self.setup.stage)

    def outputs(self) -> dict[str, Any]:
        """Return the outputs of the last apply; nothing before the first."""
        found = json.loads(self._terraform("output", "-json") or "{}")
        return {name: each["value"] for name, each in found.items()}

    def parts(self) -> set[str]:
        return set(self.outputs().get("parts", ()))

    def apply(
        self,
        parts: Iterable[str],
        *,
        image: str | None = None,
        job_image: str | None = None,
        protected: bool = True,
    ) -> None:
        """Apply the configuration. Where `image` is None, it does not change."""
        known = self.outputs()
        image = known.get("image", "") if image is None else image
        job_image = known.get("job_image", "") if job_image is None else job_image
        self._adopt_ledger()
        self._terraform_shown(
            "apply",
            *("-input=false", "-auto-approve"),
            *self._variables,
            f"-var=parts={json.dumps(sorted(parts))}",
            f"-var=image={image}",
            f"-var=job_image={job_image}",
            f"-var=protected={'true' if protected else 'false'}",
        )

    def destroy(self) -> None:
        """Destroy everything except the erasure ledger, which is removed from Terraform's state and
        stays.
        """
        if LEDGER in self._in_state():
            self._terraform("state", "rm", LEDGER)
        self._terraform_shown(
            "destroy", "-input=false", "-auto-approve", *self._variables, "-var=protected=false"
        )

    # Secrets

    @property
    def passwords_secret(self) -> str:
        """Return the name of the document of all passwords, which no service may read."""
        return f"{self.setup.stage}-passwords"

    @cached_property
    def passwords(self) -> HeldPasswords:
        try:
            text = self._latest(self.passwords_secret)
            return HeldPasswords(json.loads(text))
        except ValueError:
            raise Refused(f"the secret {self.passwords_secret} is not JSON") from None

    def keep_broker_password(self, password: str) -> None:
        """Add the broker's password to the document."""
        name, secret = f"rabbitmq {self.setup.administrator}", self.passwords_secret
        named = ("--format=value(name)",)
        if not self._gcloud("secrets", "list", f"--filter=name~/{secret}$", *named):
            where = ("--replication-policy=user-managed", f"--locations={self.setup.region}")
            self._gcloud("secrets", "create", secret, *where)
        written = self._gcloud("secrets", "versions", "list", secret, *named)
        known = self.passwords.known if written else {}
        if known.get(name) != password:
            self._add(self.passwords_secret, json.dumps({**known, name: password}))

    def hand_out_secrets(self) -> None:
        """Give each service and job its own secrets. A new secret is stored before
        anybody gets it.
        """
        before = self.passwords.known
        values = self._values()
        if self.passwords.known != before:
            self._add(self.passwords_secret, json.dumps(self.passwords.known))
        self._set_superuser()
        with ThreadPoolExecutor(CALLS_AT_ONCE) as calls:
            list(calls.map(self._hand_out, values, values.values()))

    def _hand_out(self, secret: str, value: str) -> None:
        try:
            same = self._latest(secret) == value.strip()
        except Refused:
            same = False  # it has no version yet
        if not same:
            self._add(secret, value)

    def _values(self) -> dict[str, str]:
        stage, known = self.setup.stage, self.outputs()
        servers = Servers(
            f"{known['database']['host']}:5432",
            self.setup.broker,
            self.setup.management,
            self.setup.administrator,
        )
        whole = installation_of(servers, self.passwords, known["urls"])
        values = {f"{stage}-database-authority": known["database"]["authority"]}
        for spec in SERVICES:
            settings = whole.settings(spec, "", 0)
            for name in secrets_of(spec):
                secret = f"{stage}-{spec.name}-{name.lower().replace('_', '-')}"
                values[secret] = settings[name]
        for job in JOBS:
            document = {
                "servers": asdict(servers),
                "passwords": self._of_job(job),
                "services": known["urls"],
            }
            values[f"{stage}-{job}-installation"] = json.dumps(document)
        return values

    def _of_job(self, job: str) -> dict[str, str]:
        """Return the passwords that this job sets at its server, and no others."""
        part = HeldPasswords({}, of=self.passwords)
        if job == "databases":
            one = installation_of(Servers("", "", "", self.setup.administrator), part, {})
            part.password(SUPERUSER)
            one.database_accounts()
            one.exporter_account()
            one.backup_account()
        else:
            users = [each.name for each in read(CHOREOGRAPHY).participants]
            for user in (self.setup.administrator, OPERATOR, *users):
                part.password(f"rabbitmq {user}")
        return part.known

    def _set_superuser(self) -> None:
        """Pass the password in a file: everybody on this machine can see arguments."""
        instance = self.outputs()["database"]["instance"]
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as flags:
            json.dump({"--password": self.passwords.password(SUPERUSER)}, flags)
            flags.flush()
            self._gcloud(
                *("sql", "users", "set-password", SUPERUSER, f"--instance={instance}"),
                f"--flags-file={flags.name}",
            )

    def _latest(self, secret: str) -> str:
        return self._gcloud("secrets", "versions", "access", "latest", f"--secret={secret}")

    def _add(self, secret: str, value: str) -> None:
        self._gcloud("secrets", "versions", "add", secret, "--data-file=-", given=value)

    # Images and jobs

    def build_and_push(self, tag: str) -> str:
        """Return the image's name with its digest, as the registry says it."""
        repository = self.outputs()["repository"]
        name = f"{repository}/mercado-veiculo:{tag}"
        host = repository.partition("/")[0]
        self._gcloud("auth", "configure-docker", host, "--quiet")
        show(
            *("docker", "build", "--platform=linux/amd64", "--target=run", f"--tag={name}"),
            *(f"--file={ROOT / 'deploy' / 'docker' / 'Dockerfile'}", str(ROOT)),
        )
        show("docker", "push", name)
        digest = self._gcloud(
            *("artifacts", "docker", "images", "describe", name),
            "--format=value(image_summary.digest)",
        )
        return f"{repository}/mercado-veiculo@{digest}"

    def run_job(self, job: str, *arguments: str) -> None:
        overriding = [f"--args={','.join(arguments)}"] if arguments else []
        name, where = f"{self.setup.stage}-{job}", f"--region={self.setup.region}"
        project = f"--project={self.setup.project}"
        show("gcloud", "run", "jobs", "execute", name, where, project, "--wait", *overriding)

    @property
    def waits_for_approval(self) -> bool:
        """Return whether somebody has to approve migrations in this stage."""
        text = (TERRAFORM / f"{self.setup.stage}.tfvars").read_text()
        return re.search(r'^migrations\s*=\s*"approved"', text, re.MULTILINE) is not None

    # What the operations above use

    @property
    def ledger_bucket(self) -> str:
        return f"{self.setup.project}-{self.setup.stage}-erasures"

    def _adopt_ledger(self) -> None:
        """Import the ledger's bucket of a stage that was destroyed before."""
        if self._has_bucket(self.ledger_bucket) and LEDGER not in self._in_state():
            self._terraform("import", "-input=false", *self._variables, LEDGER, self.ledger_bucket)

    def _in_state(self) -> list[str]:
        return self._terraform("state", "list").splitlines() if self.outputs() else []

    def _has_bucket(self, name: str) -> bool:
        return bool(
            self._gcloud(
                "storage", "buckets", "list", f"--filter=name={name}", "--format=value(name)"
            )
        )

    @property
    def _variables(self) -> tuple[str, ...]:
        return (
            f"-var-file={self.setup.stage}.tfvars",
            f"-var=project={self.setup.project}",
            f"-var=region={self.setup.region}",
        )

    def _gcloud(self, *words: str, given: str = "") -> str:
        return ask("gcloud", *words, f"--project={self.setup.project}", given=given)

    def _terraform(self, *words: str) -> str:
        return ask(*self._terraform_line(*words), environment=self._environment())

    def _terraform_shown(self, *words: str) -> None:
        show(*self._terraform_line(*words), environment=self._environment())

    def _terraform_line(self, *words: str) -> tuple[str, ...]:
        return ("terraform", f"-chdir={TERRAFORM}", *words)

    def _environment(self) -> dict[str, str]:
        """A token is good for an hour, and each of Terraform's runs gets a new one."""
        return {
            "GOOGLE_OAUTH_ACCESS_TOKEN": self._token(),
            "TF_DATA_DIR": str((FOLDER / "terraform").absolute()),
            "TF_IN_AUTOMATION": "1",
        }

    def _token(self) -> str:
        try:
            return ask("gcloud", "auth", "print-access-token")
        except Refused:
            raise Refused("nobody is signed in to Google Cloud: gcloud auth login") from None
