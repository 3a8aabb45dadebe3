"""The documents that `kubectl apply -k` sends are valid for their schemas and keep the rules of
`policies.py`. Each rule is also shown to notice a document that breaks it.
"""

from collections.abc import Callable
from typing import Any

import pytest

from tests.kubernetes.policies import LONGEST_DRAIN, findings
from tests.kubernetes.rendered import OVERLAYS, Manifest, refusals, rendered, with_kubectl

pytestmark = with_kubectl

Break = Callable[[Any], object]


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_the_schema_of_each_kind_takes_every_document(overlay: str) -> None:
    documents = rendered(f"overlays/{overlay}")

    assert [each for manifest in documents for each in refusals(manifest)] == []
    assert len(documents) > 100


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_no_document_breaks_a_rule(overlay: str) -> None:
    assert findings(rendered(f"overlays/{overlay}")) == []


def test_the_base_builds_alone() -> None:
    assert rendered("base")


def one(documents: list[Manifest], kind: str, name: str) -> Manifest:
    [found] = [
        each for each in documents if (each["kind"], each["metadata"]["name"]) == (kind, name)
    ]
    return found


def spec(workload: Manifest) -> Any:
    return workload["spec"]["template"]["spec"]


def first(workload: Manifest) -> Any:
    return spec(workload)["containers"][0]


def waits(workload: Manifest) -> Any:
    return spec(workload)["initContainers"][0]


WRONG: dict[str, tuple[str, str, Break]] = {
    "spec.replicas: 'two' is not of type 'integer'": (
        "Deployment", "orders-api", lambda it: it["spec"].update(replicas="two")),
    "'replica' was unexpected": (
        "Deployment", "orders-api", lambda it: it["spec"].update(replica=2)),
    "'selector' is a required property": (
        "Deployment", "orders-api", lambda it: it["spec"].pop("selector")),
    "'livenesProbe' was unexpected": (
        "Deployment", "orders-api", lambda it: first(it).update(livenesProbe={})),
    "'x' is not of type 'integer', 'null'": (
        "NetworkPolicy", "name-server", lambda it: it["spec"]["egress"][0]["ports"].append(
            {"protocol": "TCP", "port": "dns", "endPort": "x"})),
    "'podselector' was unexpected": (
        "NetworkPolicy", "default-deny", lambda it: it["spec"].update(podselector={})),
    "'maxUnavailabel' was unexpected": (
        "PodDisruptionBudget", "orders-api", lambda it: it["spec"].update(maxUnavailabel=1)),
    "'backofLimit' was unexpected": (
        "Job", "databases-v1", lambda it: it["spec"].update(backofLimit=1)),
    "'triggers' is a required property": (
        "ScaledObject", "orders-worker", lambda it: it["spec"].pop("triggers")),
    "'minReplicas' was unexpected": (
        "ScaledObject", "orders-worker", lambda it: it["spec"].update(minReplicas=2)),
    "True is not of type 'string'": (
        "ScaledObject", "orders-worker",
        lambda it: it["spec"]["triggers"][0]["metadata"].update(useRegex=True)),
    "'parameter' is a required property": (
        "TriggerAuthentication", "orders-worker",
        lambda it: it["spec"]["secretTargetRef"][0].pop("parameter")),
    "'templates' was unexpected": (
        "ExternalSecret", "orders-api", lambda it: it["spec"]["target"].update(templates={})),
    "'gcpsmm' was unexpected": (
        "SecretStore", "secrets", lambda it: it["spec"]["provider"].update(gcpsmm={})),
    "'secretName' is a required property": (
        "Certificate", "db-server", lambda it: it["spec"].pop("secretName")),
    "'selfsigned' was unexpected": (
        "Issuer", "self-signed", lambda it: it["spec"].update(selfsigned={})),
    "'podMetricEndpoints' was unexpected": (
        "PodMonitor", "services", lambda it: it["spec"].update(podMetricEndpoints=[])),
    "'expression' was unexpected": (
        "PrometheusRule", "alerts",
        lambda it: it["spec"]["groups"][0]["rules"][0].update(expression="up")),
    "'instances' is a required property": (
        "Cluster", "db", lambda it: it["spec"].pop("instances")),
    "'most' is not one of": (
        "Cluster", "db", lambda it: it["spec"]["postgresql"]["synchronous"].update(method="most")),
    "'schedule' is a required property": (
        "ScheduledBackup", "nightly", lambda it: it["spec"].pop("schedule")),
    "'disableNonTlsListeners' was unexpected": (
        "RabbitmqCluster", "rabbitmq",
        lambda it: it["spec"]["tls"].update(disableNonTlsListeners=True)),
    "'statement' is not one of": (
        "Pooler", "pgbouncer",
        lambda it: it["spec"]["pgbouncer"].update(poolMode="statement")),
    "'destinationPath' is a required property": (
        "ObjectStore", "backups", lambda it: it["spec"]["configuration"].pop("destinationPath")),
    "'backends' was unexpected": (
        "Ingress", "portal", lambda it: it["spec"]["rules"][0]["http"].update(backends=[])),
    "there is no schema of apps/v2 Deployment": (
        "Deployment", "orders-api", lambda it: it.update(apiVersion="apps/v2")),
}  # fmt: skip


@pytest.mark.parametrize("sentence", WRONG)
def test_a_wrong_field_is_refused_by_the_schema_of_its_kind(sentence: str) -> None:
    kind, name, change = WRONG[sentence]
    manifest = one(rendered("overlays/production"), kind, name)
    change(manifest)

    assert any(sentence in each for each in refusals(manifest)), refusals(manifest)


BROKEN: dict[str, tuple[str, str, Break]] = {
    "Namespace mercado-veiculo does not enforce restricted pods": (
        "Namespace", "mercado-veiculo", lambda it: it["metadata"].pop("labels")),
    "Deployment orders-api may run as root": (
        "Deployment", "orders-api", lambda it: spec(it)["securityContext"].pop("runAsUser")),
    "Job broker-v1 may run as root": (
        "Job", "broker-v1", lambda it: spec(it)["securityContext"].update(runAsNonRoot=False)),
    "Deployment orders-api may make every system call": (
        "Deployment", "orders-api", lambda it: spec(it)["securityContext"].pop("seccompProfile")),
    "Deployment orders-relay gets a token of Kubernetes": (
        "Deployment", "orders-relay",
        lambda it: spec(it).pop("automountServiceAccountToken")),
    "Deployment portal-api gets variables named after services, which may be settings": (
        "Deployment", "portal-api", lambda it: spec(it).pop("enableServiceLinks")),
    "Deployment orders-api sees what belongs to its node": (
        "Deployment", "orders-api", lambda it: spec(it).update(hostNetwork=True)),
    "Deployment orders-api sees files of its node": (
        "Deployment", "orders-api",
        lambda it: spec(it)["volumes"].append({"name": "node", "hostPath": {"path": "/"}})),
    "Deployment orders-api, container wait-for-migrations, can change its image's files": (
        "Deployment", "orders-api",
        lambda it: waits(it)["securityContext"].pop("readOnlyRootFilesystem")),
    "Deployment orders-api, container orders, can gain privileges": (
        "Deployment", "orders-api",
        lambda it: first(it)["securityContext"].pop("allowPrivilegeEscalation")),
    "Deployment orders-api, container orders, is privileged": (
        "Deployment", "orders-api",
        lambda it: first(it)["securityContext"].update(privileged=True)),
    "Deployment orders-api, container orders, keeps capabilities": (
        "Deployment", "orders-api", lambda it: first(it)["securityContext"].pop("capabilities")),
    "Deployment orders-api, container orders, gets capabilities": (
        "Deployment", "orders-api",
        lambda it: first(it)["securityContext"]["capabilities"].update(add=["NET_ADMIN"])),
    "Deployment orders-api, container orders, runs market:latest: its tag names no release": (
        "Deployment", "orders-api", lambda it: first(it).update(image="market:latest")),
    "RabbitmqCluster rabbitmq runs rabbitmq: its tag names no release": (
        "RabbitmqCluster", "rabbitmq", lambda it: it["spec"].update(image="rabbitmq")),
    "Deployment orders-api, container orders, has no memory in its limits": (
        "Deployment", "orders-api", lambda it: first(it)["resources"]["limits"].pop("memory")),
    "Deployment orders-api, container orders, has no cpu in its requests": (
        "Deployment", "orders-api", lambda it: first(it)["resources"]["requests"].pop("cpu")),
    "Deployment orders-api: the volume tmp may fill the node's disk": (
        "Deployment", "orders-api",
        lambda it: next(each for each in spec(it)["volumes"] if each["name"] == "tmp").update(
            emptyDir={})),
    "Deployment orders-worker, container orders, has no livenessProbe": (
        "Deployment", "orders-worker", lambda it: first(it).pop("livenessProbe")),
    "Deployment orders-worker, container orders, is ended where a server it needs is away": (
        "Deployment", "orders-worker",
        lambda it: first(it)["livenessProbe"]["httpGet"].update(path="/ready")),
    "Deployment orders-worker, container orders, is never asked whether it is ready": (
        "Deployment", "orders-worker",
        lambda it: first(it)["readinessProbe"]["httpGet"].update(path="/health")),
    "Deployment orders-api, container orders, leaves its service together with all the others": (
        "Deployment", "orders-api",
        lambda it: first(it)["readinessProbe"]["httpGet"].update(path="/ready")),
    "Deployment orders-api, container orders, has no port web, which its livenessProbe asks": (
        "Deployment", "orders-api",
        lambda it: first(it)["livenessProbe"]["httpGet"].update(port="web")),
    "Deployment orders-worker is killed before it has finished what it has in hand": (
        "Deployment", "orders-worker",
        lambda it: spec(it).update(terminationGracePeriodSeconds=LONGEST_DRAIN)),
    "Deployment orders-api ends while requests are still sent to it": (
        "Deployment", "orders-api", lambda it: first(it).pop("lifecycle")),
    "Deployment orders-worker says how many it is, and so does ScaledObject orders-worker": (
        "Deployment", "orders-worker", lambda it: it["spec"].update(replicas=2)),
    "ScaledObject orders-worker scales orders, which is not there": (
        "ScaledObject", "orders-worker",
        lambda it: it["spec"]["scaleTargetRef"].update(name="orders")),
    "ScaledObject orders-worker may leave nobody at work, or has a maximum below its minimum": (
        "ScaledObject", "orders-worker", lambda it: it["spec"].update(minReplicaCount=0)),
    "ScaledObject orders-worker says nothing of a broker that does not answer": (
        "ScaledObject", "orders-worker", lambda it: it["spec"].pop("fallback")),
    "Deployment orders-api does not say how many it is": (
        "Deployment", "orders-api", lambda it: it["spec"].pop("replicas")),
    "PodDisruptionBudget orders-api can keep a node from being emptied": (
        "PodDisruptionBudget", "orders-api",
        lambda it: (it["spec"].pop("maxUnavailable"), it["spec"].update(minAvailable=2))),
    "Deployment orders-api has 0 budgets of disruption": (
        "PodDisruptionBudget", "orders-api",
        lambda it: it["spec"]["selector"]["matchLabels"].update({"app.kubernetes.io/name": "x"})),
    "Deployment orders-api is spread by labels that it does not have": (
        "Deployment", "orders-api",
        lambda it: spec(it)["topologySpreadConstraints"][0]["labelSelector"]["matchLabels"].update(
            {"app.kubernetes.io/name": "x"})),
    "Deployment orders-api is not spread over zones and nodes": (
        "Deployment", "orders-api", lambda it: spec(it)["topologySpreadConstraints"].pop()),
    "Deployment orders-api ends old pods before new ones work": (
        "Deployment", "orders-api", lambda it: it["spec"].pop("strategy")),
    "Deployment orders-api starts before its migrations are done": (
        "Deployment", "orders-api", lambda it: spec(it).pop("initContainers")),
    "Deployment orders-api waits for the migrations of another release": (
        "Deployment", "orders-api", lambda it: waits(it).update(image="mercado-veiculo:old")),
    "Job databases cannot be applied again: the release v1 is not in its name": (
        "Job", "databases-v1", lambda it: it["metadata"].update(name="databases")),
    "Job databases-1.0.0 has a name that no pod's host can have": (
        "Job", "databases-v1",
        lambda it: (it["metadata"].update(name="databases-1.0.0"),
                    first(it).update(image="market:1.0.0"))),
    "Job databases-v1 stays for ever": (
        "Job", "databases-v1", lambda it: it["spec"].pop("ttlSecondsAfterFinished")),
    "Job databases-v1 may be ended in the middle of a long migration": (
        "Job", "databases-v1", lambda it: it["spec"].update(activeDeadlineSeconds=60)),
    "Deployment orders-relay needs the secret orders-relay, which nobody makes": (
        "ExternalSecret", "orders-relay",
        lambda it: it["spec"]["target"].update(name="elsewhere")),
    "the secret orders-api is shared by Deployment orders-api, Deployment orders-relay": (
        "Deployment", "orders-relay",
        lambda it: spec(it)["volumes"][0]["projected"]["sources"][0]["secret"].update(
            name="orders-api", items=[{"key": "DATABASE_URL", "path": "x"}])),
    "Deployment orders-api needs INDEX_KEY of the secret orders-api, which does not hold it": (
        "Deployment", "orders-api",
        lambda it: spec(it)["volumes"][0]["projected"]["sources"][0]["secret"]["items"].append(
            {"key": "INDEX_KEY", "path": "x"})),
    "Deployment orders-api has the secret DATABASE_URL in its environment": (
        "Deployment", "orders-api",
        lambda it: first(it)["env"].append({"name": "DATABASE_URL", "valueFrom": {
            "secretKeyRef": {"name": "orders-api", "key": "DATABASE_URL"}}})),
    "Deployment orders-api has secrets in its environment": (
        "Deployment", "orders-api",
        lambda it: first(it)["envFrom"].append({"secretRef": {"name": "orders-api"}})),
    "ExternalSecret orders-api writes orders_app, which it does not fetch": (
        "ExternalSecret", "orders-api", lambda it: it["spec"]["data"].clear()),
    "ExternalSecret orders-api fetches customers_app and does not need it": (
        "ExternalSecret", "orders-api",
        lambda it: it["spec"]["data"].append({"secretKey": "customers_app", "remoteRef": {}})),
    "Service orders leads to 0 workloads": (
        "Service", "orders",
        lambda it: it["spec"]["selector"].update({"app.kubernetes.io/name": "x"})),
    "Service orders leads to a port 8001 that nobody serves": (
        "Service", "orders", lambda it: it["spec"]["ports"][0].update(port=8001)),
    "Deployment orders-api needs the ServiceAccount nobody, which is not there": (
        "Deployment", "orders-api", lambda it: spec(it).update(serviceAccountName="nobody")),
    "Deployment exporter needs the ConfigMap exporter-queries, which is not there": (
        "ConfigMap", "exporter-queries", lambda it: it["metadata"].update(name="x")),
    "Deployment customers-api needs the PersistentVolumeClaim files, which is not there": (
        "PersistentVolumeClaim", "files", lambda it: it["metadata"].update(name="x")),
    "Deployment orders-api mounts x, which it does not have": (
        "Deployment", "orders-api", lambda it: first(it)["volumeMounts"][0].update(name="x")),
    "ExternalSecret orders-api needs the SecretStore secrets, which is not there": (
        "SecretStore", "secrets", lambda it: it["metadata"].update(name="x")),
    "ScaledObject orders-worker needs the TriggerAuthentication orders-worker, which is not"
    " there": (
        "TriggerAuthentication", "orders-worker", lambda it: it["metadata"].update(name="x")),
    "Service orders is in another namespace": (
        "Service", "orders", lambda it: it["metadata"].update(namespace="default")),
    "no policy closes the network for everything that is not allowed": (
        "NetworkPolicy", "default-deny", lambda it: it["spec"].update(policyTypes=["Ingress"])),
    "pods cannot ask the name server over UDP": (
        "NetworkPolicy", "name-server", lambda it: it["spec"]["egress"][0]["ports"].pop(0)),
    "NetworkPolicy orders-api has a rule of egress for everybody": (
        "NetworkPolicy", "orders-api", lambda it: it["spec"]["egress"][0].pop("to")),
    "NetworkPolicy orders-api has a rule of ingress for every port": (
        "NetworkPolicy", "orders-api", lambda it: it["spec"]["ingress"][0].pop("ports")),
    "Deployment orders-api has no policy of its own, and so reaches nobody": (
        "NetworkPolicy", "orders-api", lambda it: it["spec"].update(policyTypes=["Ingress"])),
    "NetworkPolicy orders-relay allows egress with db instance at port 5432, and no policy there"
    " allows it": (
        "NetworkPolicy", "db-clients", lambda it: it["spec"]["ingress"].clear()),
    "NetworkPolicy orders-api allows ingress with api portal at port 8000, and no policy there"
    " allows it": (
        "NetworkPolicy", "portal-api",
        lambda it: it["spec"].update(egress=it["spec"]["egress"][:2])),
    "Deployment orders-api says a password in DATABASE_URL": (
        "Deployment", "orders-api",
        lambda it: first(it)["env"].append(
            {"name": "DATABASE_URL", "value": "postgresql://orders_app:secret@db/orders"})),
    "Secret settings stands in the manifests": (
        "ConfigMap", "release", lambda it: it.update(kind="Secret", metadata={
            "name": "settings", "namespace": "mercado-veiculo"})),
    "RabbitmqCluster rabbitmq listens in plain text": (
        "RabbitmqCluster", "rabbitmq",
        lambda it: it["spec"]["tls"].pop("disableNonTLSListeners")),
    "RabbitmqCluster rabbitmq has an even number of nodes, which have no majority when halved": (
        "RabbitmqCluster", "rabbitmq", lambda it: it["spec"].update(replicas=2)),
    "RabbitmqCluster rabbitmq: the namespace refuses its container rabbitmq": (
        "RabbitmqCluster", "rabbitmq",
        lambda it: it["spec"]["override"]["statefulSet"]["spec"]["template"]["spec"][
            "containers"][0].pop("securityContext")),
    "Cluster db lets clients in without TLS": (
        "Cluster", "db", lambda it: it["spec"]["postgresql"].pop("pg_hba")),
    "Cluster db loses what was accepted when it fails over": (
        "Cluster", "db", lambda it: it["spec"]["postgresql"].pop("synchronous")),
    "Cluster db has no backups": (
        "ScheduledBackup", "nightly", lambda it: it.update(kind="Backup")),
}  # fmt: skip


@pytest.mark.parametrize("sentence", BROKEN)
def test_a_broken_rule_is_named_in_a_sentence(sentence: str) -> None:
    kind, name, change = BROKEN[sentence]
    documents = rendered("overlays/production")
    change(one(documents, kind, name))

    assert sentence in findings(documents), findings(documents)
