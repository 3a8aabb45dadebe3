"""A secret in a manifest is a placeholder; an ExternalSecret gets its value."""

import re
from collections.abc import Mapping, Sequence
from typing import Literal

from deploy.docker import volumes
from deploy.kubernetes.pieces import AUTHORITY, PROJECT, Manifest, manifest
from deploy.passwords import Passwords

Kind = Literal["password", "key", "keys"]
ALL_KEYS = "all"
STORE = "secrets"


class Placeholders(Passwords):
    """A `Placeholders` returns for each secret its placeholder in an ExternalSecret's template."""

    def __init__(self) -> None:
        self._names: list[str] = []
        self.asked: dict[str, Kind] = {}
        """Each secret has its kind here, by its entry in the document of all secrets."""

    def password(self, name: str) -> str:
        self._names.append(name)
        return self._place(entry(name), "password")

    def readable(self, name: str) -> str:
        self._names.append(name)
        return self._place(entry(name), "password")

    def key(self, name: str) -> str:
        return self._place(entry(name), "key")

    def keys(self, name: str) -> dict[str, str]:
        """Return one entry with all keys, in the form of DATA_KEYS: they are rotated there."""
        return {ALL_KEYS: self._place(f"{entry(name)}_keys", "keys")}

    def document(self) -> dict[str, str]:
        """Return the requested secrets, in the form of the file of a `Passwords`."""
        return {name: place(entry(name)) for name in self._names}

    def _place(self, name: str, kind: "Kind") -> str:
        self.asked[name] = kind
        return place(name)


def entry(name: str) -> str:
    """Return the entry of a secret in the document of all secrets."""
    return re.sub(r"\W", "_", name)


def place(name: str) -> str:
    return f"{{{{ .{name} }}}}"


def external_secret(
    name: str,
    passwords: Placeholders,
    data: Mapping[str, str],
    *,
    kind: str = "Opaque",
    reload: bool = False,
) -> Manifest:
    """Return an ExternalSecret. `data` are templates over the secrets requested from `passwords`.
    CloudNativePG notices a change of a secret marked for `reload`.
    """
    template: Manifest = {"engineVersion": "v2", "type": kind, "data": dict(data)}
    needed = [each for each in sorted(passwords.asked) if place(each) in " ".join(data.values())]
    if reload:
        template["metadata"] = {"labels": {"cnpg.io/reload": ""}}
    return manifest(
        "external-secrets.io/v1",
        "ExternalSecret",
        name,
        {
            "refreshInterval": "1m",
            "secretStoreRef": {"kind": "SecretStore", "name": STORE},
            "target": {"name": name, "template": template},
            "data": [
                {"secretKey": each, "remoteRef": {"key": PROJECT, "property": each}}
                for each in needed
            ],
        },
    )


def secrets_volume(secret: str, settings: Sequence[str], *, whole: str = "") -> Manifest:
    """Mount secrets as compose.yaml does: those of this pod alone, and the authority it trusts. A
    change of either reaches the files while the pod runs.
    """
    items = [{"key": each, "path": f"{volumes.SETTINGS}/{each}"} for each in settings]
    items += [{"key": whole, "path": whole}] if whole else []
    authority = [{"key": "ca.crt", "path": f"{volumes.AUTHORITY}/ca.pem"}]
    return {
        "name": "secrets",
        "projected": {
            "defaultMode": 0o440,
            "sources": [
                {"secret": {"name": secret, "items": items}},
                {"secret": {"name": AUTHORITY, "items": authority}},
            ],
        },
    }
