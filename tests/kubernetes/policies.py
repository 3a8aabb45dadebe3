"""Checks the rules that the documents of every installation on Kubernetes keep."""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

Manifest = dict[str, Any]
Finding = Iterator[str]

OURS = "app.kubernetes.io/part-of"
RESTRICTED = "pod-security.kubernetes.io/enforce"
CA = ("db-server", "ca.crt")


def findings(manifests: list[Manifest]) -> list[str]:
    """Return a sentence for each broken rule."""
    checks: list[Callable[[list[Manifest]], Finding]] = [
        _pods_are_confined,
        _images_are_named,
        _resources_are_bound,
        _probes_fit,
        _pods_end_in_order,
        _scaled_deployments_have_no_number,
        _budgets_let_nodes_be_emptied,
        _releases_go_without_a_gap,
        _jobs_belong_to_a_release,
        _pods_get_their_own_secrets,
        _services_find_their_pods,
        _names_lead_somewhere,
        _networks_are_closed,
        _both_ends_allow_what_one_asks_for,
        _no_secret_is_told,
        _brokers_and_databases_are_private,
    ]
    return [sentence for check in checks for sentence in check(manifests)]


def of_kind(manifests: list[Manifest], *kinds: str) -> list[Manifest]:
    return [each for each in manifests if each["kind"] in kinds]


def named(manifest: Manifest) -> str:
    return f"{manifest['kind']} {manifest['metadata']['name']}"


def pod_of(workload: Manifest) -> Manifest:
    found: Manifest = workload["spec"]["template"]["spec"]
    return found


def containers(workload: Manifest) -> list[Manifest]:
    pod = pod_of(workload)
    return [*pod.get("initContainers", []), *pod["containers"]]


def workloads(manifests: list[Manifest]) -> list[Manifest]:
    return of_kind(manifests, "Deployment", "Job", "StatefulSet", "CronJob", "DaemonSet")


def _pods_are_confined(manifests: list[Manifest]) -> Finding:
    for namespace in of_kind(manifests, "Namespace"):
        if namespace["metadata"].get("labels", {}).get(RESTRICTED) != "restricted":
            yield f"{named(namespace)} does not enforce restricted pods"
    for each in workloads(manifests):
        pod = pod_of(each)
        context = pod.get("securityContext", {})
        if context.get("runAsNonRoot") is not True or not context.get("runAsUser"):
            yield f"{named(each)} may run as root"
        if context.get("seccompProfile", {}).get("type") != "RuntimeDefault":
            yield f"{named(each)} may make every system call"
        if pod.get("automountServiceAccountToken") is not False:
            yield f"{named(each)} gets a token of Kubernetes"
        if pod.get("enableServiceLinks") is not False:
            yield f"{named(each)} gets variables named after services, which may be settings"
        if any(pod.get(field) for field in ("hostNetwork", "hostPID", "hostIPC")):
            yield f"{named(each)} sees what belongs to its node"
        if any("hostPath" in volume for volume in pod.get("volumes", [])):
            yield f"{named(each)} sees files of its node"
        for container in containers(each):
            confined = container.get("securityContext", {})
            who = f"{named(each)}, container {container['name']},"
            if confined.get("readOnlyRootFilesystem") is not True:
                yield f"{who} can change its image's files"
            if confined.get("allowPrivilegeEscalation") is not False:
                yield f"{who} can gain privileges"
            if confined.get("privileged"):
                yield f"{who} is privileged"
            if "ALL" not in confined.get("capabilities", {}).get("drop", []):
                yield f"{who} keeps capabilities"
            if confined.get("capabilities", {}).get("add"):
                yield f"{who} gets capabilities"


def _images_are_named(manifests: list[Manifest]) -> Finding:
    images = [
        (f"{named(each)}, container {container['name']},", container["image"])
        for each in workloads(manifests)
        for container in containers(each)
    ]
    images += [
        (named(each), each["spec"]["image"]) for each in of_kind(manifests, "RabbitmqCluster")
    ]
    images += [(named(each), each["spec"]["imageName"]) for each in of_kind(manifests, "Cluster")]
    for who, image in images:
        tag = image.rpartition("/")[2].partition(":")[2]
        if tag in ("", "latest", "release") and "@sha256:" not in image:
            yield f"{who} runs {image}: its tag names no release"


def _resources_are_bound(manifests: list[Manifest]) -> Finding:
    for each in workloads(manifests):
        for container in containers(each):
            found = container.get("resources", {})
            for side in ("requests", "limits"):
                for what in ("cpu", "memory"):
                    if not found.get(side, {}).get(what):
                        who = f"{named(each)}, container {container['name']},"
                        yield f"{who} has no {what} in its {side}"
        for volume in pod_of(each).get("volumes", []):
            if "emptyDir" in volume and not volume["emptyDir"].get("sizeLimit"):
                yield f"{named(each)}: the volume {volume['name']} may fill the node's disk"


def _probes_fit(manifests: list[Manifest]) -> Finding:
    for each in of_kind(manifests, "Deployment"):
        for container in pod_of(each)["containers"]:
            who = f"{named(each)}, container {container['name']},"
            for probe in ("readinessProbe", "livenessProbe"):
                if probe not in container:
                    yield f"{who} has no {probe}"
            paths = {
                probe: container.get(probe, {}).get("httpGet", {}).get("path")
                for probe in ("startupProbe", "readinessProbe", "livenessProbe")
            }
            if paths["livenessProbe"] == "/ready":
                yield f"{who} is ended where a server it needs is away"
            if _is_ours(each) and container["name"] != "exporter":
                if "/ready" not in (paths["startupProbe"], paths["readinessProbe"]):
                    yield f"{who} is never asked whether it is ready"
                if paths["livenessProbe"] != "/health":
                    yield f"{who} is not asked for its health"
            if _serves(each, manifests) and paths["readinessProbe"] == "/ready":
                yield f"{who} leaves its service together with all the others"
            ports = {port["name"] for port in container.get("ports", [])}
            for probe in paths:
                port = container.get(probe, {}).get("httpGet", {}).get("port")
                if port is not None and port not in ports:
                    yield f"{who} has no port {port}, which its {probe} asks"


def _is_ours(workload: Manifest) -> bool:
    return OURS in workload["spec"]["template"]["metadata"]["labels"]


def _serves(workload: Manifest, manifests: list[Manifest]) -> bool:
    labels = workload["spec"]["template"]["metadata"]["labels"]
    return any(matches(each["spec"]["selector"], labels) for each in of_kind(manifests, "Service"))


def matches(selector: Mapping[str, str], labels: Mapping[str, str]) -> bool:
    return selector.items() <= labels.items()


LONGEST_DRAIN = 120
"""Seconds that compose.yaml gives a service to end; a test compares."""


def _pods_end_in_order(manifests: list[Manifest]) -> Finding:
    for each in of_kind(manifests, "Deployment"):
        if pod_of(each)["containers"][0]["name"] == "exporter":
            continue
        grace = pod_of(each).get("terminationGracePeriodSeconds", 30)
        for container in pod_of(each)["containers"]:
            sleep = container.get("lifecycle", {}).get("preStop", {}).get("sleep", {})
            pause = sleep.get("seconds", 0)
            if grace <= LONGEST_DRAIN + pause:
                yield f"{named(each)} is killed before it has finished what it has in hand"
            if _serves(each, manifests) and pause < 1:
                yield f"{named(each)} ends while requests are still sent to it"


def _scaled_deployments_have_no_number(manifests: list[Manifest]) -> Finding:
    deployments = {each["metadata"]["name"]: each for each in of_kind(manifests, "Deployment")}
    scaled = set()
    for each in of_kind(manifests, "ScaledObject"):
        spec = each["spec"]
        target = spec["scaleTargetRef"]["name"]
        scaled.add(target)
        if target not in deployments:
            yield f"{named(each)} scales {target}, which is not there"
        elif "replicas" in deployments[target]["spec"]:
            yield f"Deployment {target} says how many it is, and so does {named(each)}"
        if not 1 <= spec.get("minReplicaCount", 0) <= spec.get("maxReplicaCount", 100):
            yield f"{named(each)} may leave nobody at work, or has a maximum below its minimum"
        if "fallback" not in spec:
            yield f"{named(each)} says nothing of a broker that does not answer"
    for name, deployment in deployments.items():
        if name not in scaled and "replicas" not in deployment["spec"]:
            yield f"Deployment {name} does not say how many it is"


def _budgets_let_nodes_be_emptied(manifests: list[Manifest]) -> Finding:
    budgets = of_kind(manifests, "PodDisruptionBudget")
    for each in budgets:
        if each["spec"].get("maxUnavailable") in (None, 0, "0%"):
            yield f"{named(each)} can keep a node from being emptied"
    for each in of_kind(manifests, "Deployment"):
        labels = each["spec"]["template"]["metadata"]["labels"]
        found = [
            budget
            for budget in budgets
            if matches(budget["spec"]["selector"]["matchLabels"], labels)
        ]
        if len(found) != 1 and each["metadata"]["name"] != "exporter":
            yield f"{named(each)} has {len(found)} budgets of disruption"
        for constraint in pod_of(each).get("topologySpreadConstraints", []):
            if not matches(constraint["labelSelector"]["matchLabels"], labels):
                yield f"{named(each)} is spread by labels that it does not have"
        if _is_ours(each) and each["metadata"]["name"] != "exporter":
            keys = {
                constraint["topologyKey"]
                for constraint in pod_of(each).get("topologySpreadConstraints", [])
            }
            if keys != {"topology.kubernetes.io/zone", "kubernetes.io/hostname"}:
                yield f"{named(each)} is not spread over zones and nodes"


def _releases_go_without_a_gap(manifests: list[Manifest]) -> Finding:
    for each in of_kind(manifests, "Deployment"):
        if not _is_ours(each) or each["metadata"]["name"] == "exporter":
            continue
        rolling = each["spec"].get("strategy", {}).get("rollingUpdate", {})
        if rolling.get("maxUnavailable") != 0 or not rolling.get("maxSurge"):
            yield f"{named(each)} ends old pods before new ones work"
        waits = [
            container
            for container in pod_of(each).get("initContainers", [])
            if "wait" in container["command"]
        ]
        if not waits:
            yield f"{named(each)} starts before its migrations are done"
        for container in waits:
            if container["image"] != pod_of(each)["containers"][0]["image"]:
                yield f"{named(each)} waits for the migrations of another release"


def _jobs_belong_to_a_release(manifests: list[Manifest]) -> Finding:
    for each in of_kind(manifests, "Job"):
        name = each["metadata"]["name"]
        tag = pod_of(each)["containers"][0]["image"].rpartition(":")[2]
        if not name.endswith(f"-{tag}"):
            yield f"{named(each)} cannot be applied again: the release {tag} is not in its name"
        if not re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", name):
            yield f"{named(each)} has a name that no pod's host can have"
        if not each["spec"].get("ttlSecondsAfterFinished"):
            yield f"{named(each)} stays for ever"
        if "activeDeadlineSeconds" in each["spec"]:
            yield f"{named(each)} may be ended in the middle of a long migration"


def _secrets_of(workload: Manifest) -> Iterator[tuple[str, str]]:
    for volume in pod_of(workload).get("volumes", []):
        if "secret" in volume:
            yield volume["secret"]["secretName"], "*"
        for source in volume.get("projected", {}).get("sources", []):
            if "secret" in source:
                for item in source["secret"].get("items", [{"key": "*"}]):
                    yield source["secret"]["name"], item["key"]


def _pods_get_their_own_secrets(manifests: list[Manifest]) -> Finding:
    made = {each["spec"]["target"]["name"]: each for each in of_kind(manifests, "ExternalSecret")}
    users: dict[str, list[str]] = {}
    for each in workloads(manifests):
        for secret, key in set(_secrets_of(each)):
            if (secret, key) == CA:
                continue
            users.setdefault(secret, [])
            if named(each) not in users[secret]:
                users[secret].append(named(each))
            if secret not in made:
                yield f"{named(each)} needs the secret {secret}, which nobody makes"
            elif key not in made[secret]["spec"]["target"]["template"]["data"]:
                yield f"{named(each)} needs {key} of the secret {secret}, which does not hold it"
        for container in containers(each):
            for variable in container.get("env", []):
                if "secretKeyRef" in variable.get("valueFrom", {}):
                    yield f"{named(each)} has the secret {variable['name']} in its environment"
            for source in container.get("envFrom", []):
                if "secretRef" in source:
                    yield f"{named(each)} has secrets in its environment"
    for secret, who in users.items():
        if len(who) > 1:
            yield f"the secret {secret} is shared by {', '.join(who)}"
    for each in made.values():
        given = {entry["secretKey"] for entry in each["spec"]["data"]}
        templates = " ".join(each["spec"]["target"]["template"]["data"].values())
        asked = set(re.findall(r"{{ \.(\w+) }}", templates))
        for name in sorted(asked - given):
            yield f"{named(each)} writes {name}, which it does not fetch"
        for name in sorted(given - asked):
            yield f"{named(each)} fetches {name} and does not need it"


def _services_find_their_pods(manifests: list[Manifest]) -> Finding:
    for each in of_kind(manifests, "Service"):
        found = [
            workload
            for workload in of_kind(manifests, "Deployment")
            if matches(each["spec"]["selector"], workload["spec"]["template"]["metadata"]["labels"])
        ]
        if len(found) != 1:
            yield f"{named(each)} leads to {len(found)} workloads"
        for workload in found:
            ports = {
                port["name"]: port["containerPort"]
                for container in pod_of(workload)["containers"]
                for port in container.get("ports", [])
            }
            for port in each["spec"]["ports"]:
                if ports.get(port["targetPort"]) != port["port"]:
                    yield f"{named(each)} leads to a port {port['port']} that nobody serves"
    for each in of_kind(manifests, "Deployment"):
        if each["spec"]["selector"]["matchLabels"].items() > (
            each["spec"]["template"]["metadata"]["labels"].items()
        ):
            yield f"{named(each)} does not select its own pods"


def _names_lead_somewhere(manifests: list[Manifest]) -> Finding:
    there = {(each["kind"], each["metadata"]["name"]) for each in manifests}
    for each in workloads(manifests):
        pod = pod_of(each)
        wanted = [("ServiceAccount", pod.get("serviceAccountName", "default"))]
        for container in containers(each):
            wanted += [
                ("ConfigMap", source["configMapRef"]["name"])
                for source in container.get("envFrom", [])
                if "configMapRef" in source
            ]
            known = {volume["name"] for volume in pod.get("volumes", [])}
            for mount in container.get("volumeMounts", []):
                if mount["name"] not in known:
                    yield f"{named(each)} mounts {mount['name']}, which it does not have"
        for volume in pod.get("volumes", []):
            if "configMap" in volume:
                wanted.append(("ConfigMap", volume["configMap"]["name"]))
            if "persistentVolumeClaim" in volume:
                claim = volume["persistentVolumeClaim"]["claimName"]
                wanted.append(("PersistentVolumeClaim", claim))
        for kind, name in wanted:
            if (kind, name) not in there:
                yield f"{named(each)} needs the {kind} {name}, which is not there"
    for each in of_kind(manifests, "ExternalSecret"):
        store = each["spec"]["secretStoreRef"]["name"]
        if ("SecretStore", store) not in there:
            yield f"{named(each)} needs the SecretStore {store}, which is not there"
    for each in of_kind(manifests, "ScaledObject"):
        for trigger in each["spec"]["triggers"]:
            name = trigger["authenticationRef"]["name"]
            if ("TriggerAuthentication", name) not in there:
                yield f"{named(each)} needs the TriggerAuthentication {name}, which is not there"
    for each in manifests:
        if each["kind"] == "Namespace":
            continue
        if each["metadata"].get("namespace") != "mercado-veiculo":
            yield f"{named(each)} is in another namespace"


def _networks_are_closed(manifests: list[Manifest]) -> Finding:
    policies = of_kind(manifests, "NetworkPolicy")
    closed = [
        each
        for each in policies
        if each["spec"]["podSelector"] == {}
        and set(each["spec"]["policyTypes"]) == {"Ingress", "Egress"}
        and not each["spec"].get("ingress")
        and not each["spec"].get("egress")
    ]
    if not closed:
        yield "no policy closes the network for everything that is not allowed"
    for protocol in ("UDP", "TCP"):
        if not any(
            {"protocol": protocol, "port": 53} in rule.get("ports", [])
            for each in policies
            if each["spec"]["podSelector"] == {}
            for rule in each["spec"].get("egress", [])
        ):
            yield f"pods cannot ask the name server over {protocol}"
    for each in policies:
        for side, peers in (("ingress", "from"), ("egress", "to")):
            for rule in each["spec"].get(side, []):
                operators = side == "egress" and {
                    port["port"] for port in rule.get("ports", [])
                } == {443, 6443}
                if not rule.get(peers) and not operators:
                    yield f"{named(each)} has a rule of {side} for everybody"
                if not rule.get("ports"):
                    yield f"{named(each)} has a rule of {side} for every port"
    for each in workloads(manifests):
        labels = each["spec"]["template"]["metadata"]["labels"]
        if not _policies_of(policies, labels, "Egress", but_all=True):
            yield f"{named(each)} has no policy of its own, and so reaches nobody"


def _policies_of(
    policies: list[Manifest], labels: Mapping[str, str], side: str, *, but_all: bool = False
) -> list[Manifest]:
    return [
        each
        for each in policies
        if side in each["spec"]["policyTypes"]
        and matches(each["spec"]["podSelector"].get("matchLabels", {}), labels)
        and not (but_all and each["spec"]["podSelector"] == {})
    ]


def _both_ends_allow_what_one_asks_for(manifests: list[Manifest]) -> Finding:
    """A connection needs a rule where it leaves and one where it arrives."""
    policies = of_kind(manifests, "NetworkPolicy")
    for each in policies:
        own = each["spec"]["podSelector"].get("matchLabels", {})
        for side, peers, other, others in (
            ("egress", "to", "ingress", "from"),
            ("ingress", "from", "egress", "to"),
        ):
            for rule in each["spec"].get(side, []):
                for peer in rule.get(peers, []):
                    if "podSelector" not in peer or "namespaceSelector" in peer:
                        continue
                    labels = peer["podSelector"]["matchLabels"]
                    for port in rule["ports"]:
                        if not any(
                            port in far.get("ports", [])
                            and any(
                                matches(end["podSelector"].get("matchLabels", {}), own)
                                for end in far.get(others, [])
                                if "podSelector" in end and "namespaceSelector" not in end
                            )
                            for policy in _policies_of(policies, labels, other.capitalize())
                            for far in policy["spec"].get(other, [])
                        ):
                            yield (
                                f"{named(each)} allows {side} with {_words(labels)} at port"
                                f" {port['port']}, and no policy there allows it"
                            )


def _words(labels: Mapping[str, str]) -> str:
    return " ".join(labels.values())


def _no_secret_is_told(manifests: list[Manifest]) -> Finding:
    for each in of_kind(manifests, "Secret"):
        yield f"{named(each)} stands in the manifests"
    for each in workloads(manifests):
        for container in containers(each):
            for variable in container.get("env", []):
                if re.search(r"://[^/\s]+:[^/\s]+@", variable.get("value", "")):
                    yield f"{named(each)} says a password in {variable['name']}"


def _brokers_and_databases_are_private(manifests: list[Manifest]) -> Finding:
    for each in of_kind(manifests, "RabbitmqCluster"):
        if not each["spec"].get("tls", {}).get("disableNonTLSListeners"):
            yield f"{named(each)} listens in plain text"
        if each["spec"]["replicas"] % 2 == 0:
            yield f"{named(each)} has an even number of nodes, which have no majority when halved"
        pod = each["spec"]["override"]["statefulSet"]["spec"]["template"]["spec"]
        for container in [*pod.get("initContainers", []), *pod["containers"]]:
            confined = container.get("securityContext", {})
            if confined.get("allowPrivilegeEscalation") is not False:
                yield f"{named(each)}: the namespace refuses its container {container['name']}"
    for each in of_kind(manifests, "Cluster"):
        if "hostnossl all all all reject" not in each["spec"]["postgresql"].get("pg_hba", []):
            yield f"{named(each)} lets clients in without TLS"
        if each["spec"]["instances"] > 1 and not each["spec"]["postgresql"].get("synchronous"):
            yield f"{named(each)} loses what was accepted when it fails over"
        if each["spec"]["instances"] > 1 and not of_kind(manifests, "ScheduledBackup"):
            yield f"{named(each)} has no backups"
