"""Checks the resources in deploy/terraform. Each policy yields the resources that break it."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence

from tests.unit.gcp.hcl import Resource

ROLES = {"roles/secretmanager.secretAccessor", "roles/storage.objectUser"}
"""A service account may have only these roles, each on one secret or one bucket."""
RUN = {"google_cloud_run_v2_service", "google_cloud_run_v2_worker_pool", "google_cloud_run_v2_job"}
PLACEHOLDER = "us-docker.pkg.dev/cloudrun/container/hello"
Policy = Callable[[Sequence[Resource], Mapping[str, str]], Iterator[str]]


def least_privilege(found: Sequence[Resource], texts: Mapping[str, str]) -> Iterator[str]:
    """Roles are only these, on single secrets and buckets. No role is on the project."""
    for each in found:
        if "_iam_" in each.type:
            if each.text("role") not in ROLES:
                yield f"{each}: the role {each.text('role')}"
            if "google_service_account.this[" not in each.text("member"):
                yield f"{each}: the member {each.text('member')}"
        if each.type.startswith(("google_project_iam", "google_service_account_key")):
            yield f"{each}: on the whole project, or a key that leaves it"
    for name, text in texts.items():
        if re.search(r"allUsers|allAuthenticatedUsers|roles/(owner|editor)", text):
            yield f"{name}: everybody, or owner or editor"


def own_secrets_only(found: Sequence[Resource], _: Mapping[str, str]) -> Iterator[str]:
    """The reader of a secret is the account for which the secret was made."""
    for each in found:
        if each.type == "google_secret_manager_secret_iam_member":
            secret, member = each.text("secret_id"), each.text("member")
            own = "this[each.key]" in secret and "this[each.value.reader]" in member
            if not own and "database_authority" not in secret:
                yield f"{each}: {member} reads {secret}"


def accounts_of_their_own(found: Sequence[Resource], _: Mapping[str, str]) -> Iterator[str]:
    """Nothing runs as the project's default account, which may do nearly everything."""
    for each in found:
        inner = "template.template" if each.type.endswith("_job") else "template"
        account = each.text(f"{inner}.service_account")
        if each.type in RUN and "google_service_account.this[" not in account:
            yield f"{each}: runs as {account or 'the default account'}"


def closed_unless_public(found: Sequence[Resource], _: Mapping[str, str]) -> Iterator[str]:
    """Only the services that `public` names are reached from outside."""
    for each in found:
        if each.type == "google_cloud_run_v2_service" and not re.fullmatch(
            r'\$\{contains\(var\.public, each\.key\) \? "INGRESS_TRAFFIC_ALL" : '
            r'"INGRESS_TRAFFIC_INTERNAL_ONLY"\}',
            each.text("ingress"),
        ):
            yield f"{each}: ingress is {each.text('ingress')}"


def private_database(found: Sequence[Resource], _: Mapping[str, str]) -> Iterator[str]:
    """Postgres 17 on a private address, over TLS only, protected, with backups to every moment."""
    wanted = {
        "database_version": "POSTGRES_17",
        "deletion_protection": "${var.protected}",
        "settings.deletion_protection_enabled": "${var.protected}",
        "settings.ip_configuration.ipv4_enabled": "False",
        "settings.ip_configuration.private_network": "${google_compute_network.this.id}",
        "settings.ip_configuration.ssl_mode": "ENCRYPTED_ONLY",
        "settings.backup_configuration.enabled": "True",
        "settings.backup_configuration.point_in_time_recovery_enabled": "True",
        "settings.backup_configuration.backup_retention_settings.retained_backups": (
            "${var.backups_kept}"
        ),
        "settings.retain_backups_on_delete": "True",
    }
    for each in found:
        if each.type == "google_sql_database_instance":
            for path, value in wanted.items():
                said = each.text(path)
                if said.lower() != value.lower():
                    yield f"{each}: {path} is {said or 'not set'}"


def no_secret_in_the_state(found: Sequence[Resource], texts: Mapping[str, str]) -> Iterator[str]:
    """No resource, variable or output holds a value that is secret."""
    for each in found:
        if each.type in {
            "google_secret_manager_secret_version",
            "google_sql_user",
            "random_password",
        }:
            yield f"{each}: its value would stand in the state"
    for name, text in texts.items():
        for word in re.findall(
            r"^ *(?:variable|output)? *\"?(\w*password\w*|secret_data)\b", text, re.MULTILINE
        ):
            yield f"{name}: {word}"


def pinned_images(found: Sequence[Resource], texts: Mapping[str, str]) -> Iterator[str]:
    """Images come from two variables, which demand a digest, or are the placeholder."""
    for each in found:
        inner = "template.template" if each.type.endswith("_job") else "template"
        image = each.text(f"{inner}.containers.image")
        if each.type in RUN and image not in ("${local.image}", "${local.job_image}"):
            yield f"{each}: image {image}"
    for name, text in texts.items():
        for image in re.findall(r'"([\w.-]+\.pkg\.dev/[^"$]+)"', text):
            if image != PLACEHOLDER:
                yield f"{name}: {image}"
    digests = texts["variables.tf"].count('can(regex("@sha256:[0-9a-f]{64}$"')
    if digests != 2:
        yield "variables.tf: an image without a digest is taken"


def closed_buckets(found: Sequence[Resource], _: Mapping[str, str]) -> Iterator[str]:
    """Nobody can make a bucket public, and what is overwritten stays."""
    for each in found:
        if each.type == "google_storage_bucket":
            if each.text("public_access_prevention") != "enforced":
                yield f"{each}: could be made public"
            if each.text("versioning.enabled").lower() != "true":
                yield f"{each}: keeps no versions"


def through_the_network(found: Sequence[Resource], _: Mapping[str, str]) -> Iterator[str]:
    """All traffic leaves through the network, so that the broker sees one address."""
    for each in found:
        inner = "template.template" if each.type.endswith("_job") else "template"
        if each.type in RUN and each.text(f"{inner}.vpc_access.egress") != "ALL_TRAFFIC":
            yield f"{each}: egress past the network"


def protected_from_deletion(found: Sequence[Resource], texts: Mapping[str, str]) -> Iterator[str]:
    """Whatever runs, and the database, can be deleted only after the protection is lifted."""
    for each in found:
        if each.type in RUN and each.text("deletion_protection") != "${var.protected}":
            yield f"{each}: not protected"
    if not re.search(r'variable "protected" \{[^}]*default +=  ?true', texts["variables.tf"]):
        yield "variables.tf: not protected unless said otherwise"


def tokens_are_checked(_: Sequence[Resource], texts: Mapping[str, str]) -> Iterator[str]:
    """Cloud Run lets callers through, so each service has to check them."""
    for setting in ('AUTH             = "on"', 'TLS              = "required"'):
        if setting not in texts["services.tf"]:
            yield f"services.tf: not {' '.join(setting.split())}"


POLICIES: Sequence[Policy] = (
    least_privilege,
    own_secrets_only,
    accounts_of_their_own,
    closed_unless_public,
    private_database,
    no_secret_in_the_state,
    pinned_images,
    closed_buckets,
    through_the_network,
    protected_from_deletion,
    tokens_are_checked,
)
