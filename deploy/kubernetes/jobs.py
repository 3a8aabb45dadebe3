"""Jobs prepare the servers, and the operators create the accounts that the jobs use."""

import json
from collections.abc import Sequence

from deploy.docker import volumes
from deploy.installation import ADMINISTRATOR, SUPERUSER
from deploy.kubernetes.pieces import (
    AMQPS,
    BROKER,
    CONFINED,
    GRACE_SECONDS,
    MOUNTED,
    PART_OF,
    PROJECT,
    RELEASE,
    TMP,
    TMP_MOUNT,
    Manifest,
    confined_pod,
    labels_of,
    manifest,
    network_policy,
    resources,
    to_server,
)
from deploy.kubernetes.placeholders import Placeholders, external_secret, secrets_volume


def job(name: str, servers: Sequence[str]) -> list[Manifest]:
    """Return a job of one release: a job cannot be changed, so each release has its own. Running it
    again changes nothing.
    """
    passwords = Placeholders()
    volumes.ask_for(name, volumes.installation(passwords))
    document = json.dumps(passwords.document(), indent=1, sort_keys=True) + "\n"
    labels = labels_of(name, "job")
    pod = {
        **confined_pod(),
        "restartPolicy": "OnFailure",
        "terminationGracePeriodSeconds": GRACE_SECONDS,
        "containers": [
            {
                "name": name,
                "image": f"{name}:{RELEASE}",
                "args": [name],
                "envFrom": [{"configMapRef": {"name": "settings"}}],
                "securityContext": CONFINED,
                "resources": resources("100m", "192Mi", "1", "512Mi"),
                "volumeMounts": [
                    {"name": "secrets", "mountPath": MOUNTED, "readOnly": True},
                    TMP_MOUNT,
                ],
            }
        ],
        "volumes": [secrets_volume(f"{name}-job", [], whole="secrets.json"), TMP],
    }
    return [
        manifest(
            "batch/v1",
            "Job",
            f"{name}-{RELEASE}",
            {
                "backoffLimit": 30,
                "ttlSecondsAfterFinished": 7 * 24 * 3600,
                "template": {"metadata": {"labels": {**labels, PART_OF: PROJECT}}, "spec": pod},
            },
        ),
        external_secret(f"{name}-job", passwords, {"secrets.json": document}),
        network_policy(f"{name}-job", labels, [], [to_server(each) for each in servers]),
    ]


def administrator() -> list[Manifest]:
    """Return the accounts that operators create: RabbitMQ's and Postgres' administrators."""
    administrator, postgres = Placeholders(), Placeholders()
    password = administrator.password(f"rabbitmq {ADMINISTRATOR}")
    broker = {
        "username": ADMINISTRATOR,
        "password": password,
        "default_user.conf": f"default_user = {ADMINISTRATOR}\ndefault_pass = {password}\n",
        "host": f"{BROKER}.{PROJECT}.svc",
        "port": str(AMQPS),
        "provider": "rabbitmq",
        "type": "rabbitmq",
    }
    superuser = {"username": SUPERUSER, "password": postgres.password(SUPERUSER)}
    return [
        external_secret("rabbitmq-administrator", administrator, broker),
        external_secret(
            "db-superuser", postgres, superuser, kind="kubernetes.io/basic-auth", reload=True
        ),
    ]
