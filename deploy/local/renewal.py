"""Certificates, passwords and keys of a system are renewed while it runs."""

from datetime import datetime

import httpx

from deploy.certificates import ends
from deploy.local import containers, private
from deploy.local.engine import Runtime
from deploy.local.lifecycle import System
from deploy.local.state import NotUp
from deploy.rotation import ROTATIONS
from deploy.secret_settings import write_secrets
from deploy.servers import postgres, rabbitmq
from deploy.services import SERVICES
from libs.messaging.database import DATABASE_ERRORS


def renew(system: System) -> dict[str, datetime]:
    """Return the end of each server's new certificate. Connections go on with the old ones.

    Raises NotUp where no server uses TLS, and StartFailed where a server does not run.
    """
    if not system.state.tls:
        raise NotUp("nothing speaks TLS here: TLS=required ./taskw up starts a system that does")
    if system.state.runtime is Runtime.CONTAINERS:
        return containers.renew_certificates(system.folder)
    authority = system.state.authority(system.folder)
    rabbitmq.renew_certificate(system.folder, authority)
    postgres.renew_certificate(system.folder, authority)
    return {
        "Postgres": ends(postgres.data_folder(system.folder) / postgres.CERTIFICATE),
        "RabbitMQ": ends(system.folder / "rabbitmq" / rabbitmq.CERTIFICATE),
    }


def rotate(system: System, what: str) -> None:
    """Replace a secret. Raises ValueError for an unknown one, NotUp, StartFailed, StartFailure."""
    if what not in ROTATIONS:
        raise ValueError(f"{what!r} is not one of {', '.join(ROTATIONS)}")
    if system.state.runtime is Runtime.CONTAINERS:
        containers.rotate(system.folder, what)
        return
    folders = {spec: private.secrets_folder(system.folder, spec) for spec in SERVICES}
    if not all(folder.is_dir() for folder in folders.values()):
        raise NotUp("an earlier release started these services: ./taskw down, then up")
    installation = system.installation

    def hand_out() -> None:
        for spec, folder in folders.items():
            port = system.state.services[spec.name]
            write_secrets(installation.settings(spec, "127.0.0.1", port), folder)

    try:
        ROTATIONS[what](installation, hand_out)
    except (httpx.HTTPError, *DATABASE_ERRORS) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise NotUp(f"not everything was replaced, run it again: {reason}") from None
