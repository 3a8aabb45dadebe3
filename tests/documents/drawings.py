"""Makes the drawings of docs/architecture.md in Mermaid: C4's context, and its containers."""

import re
from pathlib import Path

from deploy.services import SERVICES, ServiceSpec
from libs.messaging.saga.choreography import read
from libs.runtime.auth import ROLES
from libs.runtime.settings import CHOREOGRAPHY

PEOPLE = {
    "buyer": "buys, pays, cancels",
    "seller": "lists vehicles, is paid",
    "operator": "watches, mends, settles",
    "admin": "users, credit limits, KPIs, erasure",
}
"""What each role of a token does in the system."""
OUTSIDE = {
    "payments": ("gateway", "payment gateway", "charges cards, gives money back"),
    "payouts": ("bank", "bank", "pays sellers"),
    "portal": ("mail", "mail", "carries links for forgotten passwords"),
}
"""Systems of others, by the service that calls them."""
STYLES = """\
    classDef person fill:#08427b,color:#ffffff,stroke:#052e56
    classDef ours fill:#1168bd,color:#ffffff,stroke:#0b4884
    classDef store fill:#438dd5,color:#ffffff,stroke:#2e6295
    classDef outside fill:#6b6b6b,color:#ffffff,stroke:#4d4d4d"""


def context() -> str:
    """Draw level 1: who uses the system, and which systems it uses."""
    lines = ["```mermaid", "flowchart TB"]
    lines += [f'    {role}(["{role}<br/>{does}"]):::person' for role, does in _people().items()]
    lines.append('    program(["program<br/>with a token"]):::person')
    lines.append('    market["Mercado Veículo<br/>a vehicle marketplace"]:::ours')
    lines += [
        f'    {name}["{title}<br/>{does}"]:::outside' for name, title, does in OUTSIDE.values()
    ]
    lines += [f'    {role} -->|"pages, HTTPS"| market' for role in _people()]
    lines.append('    program -->|"JSON, HTTPS"| market')
    lines += [f"    market --> {name}" for name, _, _ in OUTSIDE.values()]
    return "\n".join([*lines, STYLES, "```"])


def containers() -> str:
    """Draw level 2: what runs, and who talks to whom."""
    [portal] = [spec for spec in SERVICES if spec.is_portal]
    others = [spec for spec in SERVICES if not spec.is_portal]
    lines = [
        "```mermaid",
        "flowchart TB",
        '    people(["people, in a browser"]):::person',
        '    programs(["programs, with a token"]):::person',
        '    subgraph system["Mercado Veículo"]',
        *_with_database(portal, " " * 8),
        '        subgraph services["the services it shows"]',
        *(line for spec in others for line in _with_database(spec, " " * 12)),
        "        end",
        '        broker[["RabbitMQ<br/>exchanges and queues"]]:::store',
        "    end",
        *(f'    {name}["{title}"]:::outside' for name, title, _ in OUTSIDE.values()),
        f'    people -->|"pages, HTTPS"| {portal.name}',
        '    programs -->|"JSON, HTTPS, JWT"| services',
        f'    {portal.name} -->|"JSON, its user\'s JWT"| services',
        '    services <-->|"events"| broker',
        f'    broker -->|"events"| {portal.name}',
        *(f"    {service} --> {name}" for service, (name, _, _) in OUTSIDE.items()),
        STYLES,
        "```",
    ]
    return "\n".join(lines)


def table() -> str:
    """Describe each of our containers of level 2 in words."""
    choreography = read(CHOREOGRAPHY)
    rows = []
    for spec in SERVICES:
        participant = choreography.participant(spec.name)
        if participant is None:
            raise LookupError(f"{spec.name} takes no part in the choreography")
        link = f"[`{spec.name}`](../services/{spec.name}/README.md)"
        events = f"{len(participant.publishes)} | {len(participant.consumes)}"
        rows.append(f"| {link} | {_purpose(spec)} | {spec.port} | {events} | {_special(spec)} |")
    head = "| service | what it is for | port | events out | events in | what only it has |"
    return "\n".join([head, "|---|---|---|---|---|---|", *rows])


def _people() -> dict[str, str]:
    if set(PEOPLE) != ROLES:
        raise LookupError(f"the roles are {sorted(ROLES)}, and people {sorted(PEOPLE)}")
    return PEOPLE


def _with_database(spec: ServiceSpec, indent: str) -> list[str]:
    name = spec.name
    return [
        f'{indent}{name}["{name}<br/>FastAPI, port {spec.port}"]:::ours',
        f'{indent}{name}_db[("{name}<br/>Postgres database")]:::store',
        f"{indent}{name} --- {name}_db",
    ]


def _special(spec: ServiceSpec) -> str:
    has = [
        (spec.seals_personal_data, "sealed columns"),
        (spec.has_reader, "a database role that only reads"),
        (spec.is_portal, "sign-in, tokens, audits"),
        (spec.name in OUTSIDE and not spec.is_portal, f"calls the {_outside(spec)}"),
    ]
    return ", ".join(text for true, text in has if true)


def _outside(spec: ServiceSpec) -> str:
    return OUTSIDE[spec.name][1] if spec.name in OUTSIDE else ""


def _purpose(spec: ServiceSpec) -> str:
    """Return the first sentence of the service's README."""
    text = (Path(CHOREOGRAPHY).parent / spec.name / "README.md").read_text()
    paragraph = " ".join(text.split("\n\n")[1].split())
    return re.split(r"(?<=\.) ", paragraph, maxsplit=1)[0]
