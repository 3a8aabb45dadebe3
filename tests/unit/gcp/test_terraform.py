"""deploy/terraform is correct as a text: format, arguments, policies, and the list it reads."""

import shutil
import subprocess

import pytest

from deploy.gcp.catalogue import FILE, KEEPS_A_LEDGER, TERRAFORM, written
from deploy.services import SERVICES
from tests.documents.sections import ROOT
from tests.unit.gcp import policies
from tests.unit.gcp.hcl import resources, unknown_arguments
from tests.unit.gcp.policies import POLICIES, Policy

TEXTS = {path.name: path.read_text() for path in sorted(TERRAFORM.glob("*.tf"))}
STAGES = sorted(TERRAFORM.glob("*.tfvars"))


def test_the_format_is_terraforms_own() -> None:
    if not (terraform := shutil.which("terraform")):
        pytest.skip("terraform is not installed")
    environment = {"TF_CLI_CONFIG_FILE": "/dev/null", "CHECKPOINT_DISABLE": "1"}
    line = [terraform, "fmt", "-check", "-diff", str(TERRAFORM)]
    done = subprocess.run(line, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_services_that_terraform_reads_are_those_there_are() -> None:
    assert FILE.read_text() == written(), "python -m deploy.gcp.catalogue writes it"


def test_the_service_with_the_ledger_is_the_one_that_has_the_files_in_containers() -> None:
    compose = (ROOT / "compose.yaml").read_text()
    keepers = [
        spec.name
        for spec in SERVICES
        if '"files:' in compose.partition(f"\n  {spec.name}:\n")[2].partition("\n\n")[0]
    ]
    assert keepers == [KEEPS_A_LEDGER]


def test_every_argument_is_one_that_the_provider_knows_and_none_is_missing() -> None:
    found = [line for each in resources(TEXTS) for line in unknown_arguments(each)]
    assert not found


@pytest.mark.parametrize("policy", POLICIES, ids=lambda each: each.__name__)
def test_the_policy_holds(policy: Policy) -> None:
    assert not list(policy(resources(TEXTS), TEXTS))


@pytest.mark.parametrize(
    ("policy", "before", "after"),
    [
        (policies.least_privilege, "roles/storage.objectUser", "roles/owner"),
        (policies.least_privilege, "roles/storage.objectUser", "roles/storage.admin"),
        (
            policies.least_privilege,
            "member   = google_service_account.this[each.key].member",
            'member   = "allUsers"',
        ),
        (
            policies.own_secrets_only,
            "google_service_account.this[each.value.reader].member",
            'google_service_account.this["portal"].member',
        ),
        (
            policies.accounts_of_their_own,
            "service_account = google_service_account.this[each.key].email",
            "",
        ),
        (policies.closed_unless_public, '"INGRESS_TRAFFIC_INTERNAL_ONLY"', '"INGRESS_TRAFFIC_ALL"'),
        (policies.private_database, "ipv4_enabled    = false", "ipv4_enabled    = true"),
        (policies.private_database, '"ENCRYPTED_ONLY"', '"ALLOW_UNENCRYPTED_AND_ENCRYPTED"'),
        (policies.private_database, "point_in_time_recovery_enabled = true", ""),
        (
            policies.private_database,
            "deletion_protection_enabled = var.protected",
            "deletion_protection_enabled = false",
        ),
        (policies.private_database, "retained_backups = var.backups_kept", "retained_backups = 1"),
        (
            policies.no_secret_in_the_state,
            'resource "google_artifact_registry_repository" "images"',
            'resource "google_sql_user" "images"',
        ),
        (policies.no_secret_in_the_state, 'variable "region"', 'variable "password"'),
        (policies.pinned_images, "image   = local.job_image", 'image   = "postgres"'),
        (policies.pinned_images, "container/hello", "container/hello:latest"),
        (policies.pinned_images, 'can(regex("@sha256:[0-9a-f]{64}$", var.image))', "true"),
        (policies.closed_buckets, '"enforced"', '"inherited"'),
        (policies.closed_buckets, "    enabled = true\n  }\n}", "    enabled = false\n  }\n}"),
        (policies.through_the_network, '"ALL_TRAFFIC"', '"PRIVATE_RANGES_ONLY"'),
        (
            policies.protected_from_deletion,
            "deletion_protection  = var.protected",
            "deletion_protection  = false",
        ),
        (policies.protected_from_deletion, "default     = true", "default     = false"),
        (policies.tokens_are_checked, 'AUTH             = "on"', 'AUTH             = "off"'),
    ],
)
def test_a_text_that_breaks_a_policy_is_noticed(policy: Policy, before: str, after: str) -> None:
    assert any(before in text for text in TEXTS.values())
    broken = {name: text.replace(before, after) for name, text in TEXTS.items()}
    assert list(policy(resources(broken), broken))


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ("database_version    =", "database_versions   =", "database_version: the provider"),
        ("ssl_mode        =", "tls_mode        =", "ip_configuration.tls_mode: the provider does"),
        ("mount_path = \"/secrets/${", "path       = \"/secrets/${", "volume_mounts.mount_path"),
        ('"google_compute_router"', '"google_compute_routers"', "whose arguments are known"),
    ],
)  # fmt: skip
def test_an_argument_that_the_provider_does_not_know_is_noticed(
    before: str, after: str, told: str
) -> None:
    broken = {name: text.replace(before, after) for name, text in TEXTS.items()}
    assert broken != TEXTS
    found = [line for each in resources(broken) for line in unknown_arguments(each)]
    assert any(told in line for line in found), found


def test_each_stage_names_every_setting_and_production_is_the_stricter_one() -> None:
    import hcl2

    found = {path.stem: hcl2.loads(path.read_text()) for path in STAGES}
    assert set(found) == {"homologation", "production"}
    assert set(found["homologation"]) == set(found["production"])
    production = found["production"]
    assert production["migrations"] == '"approved"'
    assert production["database_availability"] == '"REGIONAL"'
    assert production["backups_kept"] >= 30
    assert production["instances"] >= 2
