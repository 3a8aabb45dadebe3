"""Finds the places that must name a service or an event, with one sentence for each
that does not.
"""

import importlib
import re
import tomllib
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from string import Formatter

import yaml  # type: ignore[import-untyped]

from deploy.checker.records import STATEMENTS, rules_of
from deploy.services import ServiceSpec
from libs.messaging.saga.participant import Participant
from libs.messaging.saga.reactions import Step
from libs.runtime.settings import ServiceSettings
from services.events import PurchaseEvent
from services.portal.infrastructure import consumers as portal
from services.portal.infrastructure.language import i18n
from services.portal.infrastructure.settings import PortalSettings
from services.portal.infrastructure.web import wording
from tests.security.matrix import OWN, SIGNED_IN
from tests.security.things import Things

ROOT = Path(__file__).parents[2]
KINDS = ("unit", "integration")
TESTS_OF_VERIFY = ROOT / "tests" / "integration" / "deploy"
UNDESCRIBED = "What has happened, in one sentence."
"""The docstring of an event as `./taskw new event` writes it."""
MAKERS = {name.removeprefix("_") for name in vars(Things)}
PORTAL = "services/portal/infrastructure"


def gaps(spec: ServiceSpec) -> Iterator[str]:
    """Yield one sentence for each place that does not know this service."""
    name, port = spec.name, spec.port
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]
    if reference(name) not in project["messaging"]["participants"]:
        yield f"{name} is no participant: add it to [tool.messaging] of pyproject.toml"
    yield from _gaps_of_port(name, port)
    if not spec.is_portal:
        address = PortalSettings.model_fields.get(f"{name}_url")
        if address is None or not address.default.endswith(f":{port}"):
            yield f"the portal does not find {name} at port {port}: add {name}_url to its settings"
    if name not in wording.SERVICES:
        yield f"{name} has no name for people: add it to SERVICES in {PORTAL}/web/wording.py"
    else:
        yield from _gaps_of_translations(wording.SERVICES[name])
    if name not in OWN:
        yield f"{name} has no row in the endpoint matrix: add it to tests/security/matrix.py"
    if find_spec(f"tests.simulation.parts.{name}") is None:
        yield f"{name} takes no part in the simulation: add tests/simulation/parts/{name}.py"
    for kind in KINDS:
        if not any((ROOT / "tests" / kind / name).glob("test_*.py")):
            yield f"{name} has no tests in tests/{kind}/{name}"
    yield from _gaps_of_verify(name)
    for thing in sorted(_ids_in_paths(name) - MAKERS):
        yield (
            f"the tests of permissions cannot make the {{{thing}}} in a path of {name}: add"
            f" _{thing} to tests/security/things.py"
        )


def _gaps_of_verify(name: str) -> Iterator[str]:
    if name not in STATEMENTS:
        if takes_steps(name):
            yield (
                f"./taskw verify looks at nothing of {name}: say how its records are read, and what"
                f" must hold of them, in deploy/checker/records/{name}.py"
            )
        return
    simulated = find_spec(f"tests.simulation.parts.{name}")
    if simulated and not hasattr(importlib.import_module(simulated.name), "records"):
        yield (
            f"the simulation does not judge the records of {name}: add records() to"
            f" tests/simulation/parts/{name}.py, and name it in Part"
        )
    if find_spec(f"tests.integration.deploy.records.{name}") is None:
        yield (
            f"the tests of ./taskw verify have no records of {name}: write those of the purchases"
            f" of the tests in tests/integration/deploy/records/{name}.py"
        )
    tests = "".join(path.read_text() for path in sorted(TESTS_OF_VERIFY.glob("test_*.py")))
    named = (TESTS_OF_VERIFY / "rules.py").read_text()
    constants = {rule: name for name, rule in re.findall(r'([A-Z_]+) = "(.+)"\n', named)}
    for rule in rules_of(name):
        if rule not in tests and not re.search(rf"\b{constants.get(rule, rule)}\b", tests):
            yield (
                f'no test breaks the rule "{rule}" of {name}: add a Break to a test in'
                " tests/integration/deploy, as test_broken_records.py has them"
            )


def _ids_in_paths(name: str) -> set[str]:
    rows = [row for row, may in OWN.get(name, {}).items() if may != SIGNED_IN]
    return {found for row in rows for _, found, _, _ in Formatter().parse(row) if found}


def _gaps_of_port(name: str, port: int) -> Iterator[str]:
    compose = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]
    published = f"127.0.0.1:${{{name.upper()}_PORT:-{port}}}:"
    if not any(entry.startswith(published) for entry in compose.get(name, {}).get("ports", ())):
        yield f"{name} is not published on port {port}: add it to compose.yaml"
    readme = (ROOT / "README.md").read_text()
    if not re.search(rf"^\| {name} \| \S+:{port}\b", readme, re.MULTILINE):
        yield f"{name} has no row with port {port} in README.md: add it to 'Addresses'"
    if default_port(name) != port:
        yield f"{name} listens on {default_port(name)}, not on {port}: say it in its settings"
    for overlay in ("local", "production"):
        path = f"deploy/kubernetes/overlays/{overlay}/kustomization.yaml"
        images = yaml.safe_load((ROOT / path).read_text())["images"]
        if name not in {image["name"] for image in images}:
            yield f"{name} has no image in a cluster: add it to {path}"


def gaps_of_event(name: str, event_type: str) -> Iterator[str]:
    """Yield one sentence for each place that does not know this event of the service."""
    ours = participant(name)
    if ours is None or event_type not in {each.type for each in ours.publishes}:
        yield f"{name} does not publish {event_type}: add it to publishes in its consumers.py"
        return
    [event] = [each for each in ours.publishes if each.type == event_type]
    if not any(_mentions(path, event.__name__) for path in _inner_code(name)):
        yield (
            f"nothing causes {event.__name__}: return it from a method of an entity in"
            f" services/{name}/domain, and publish it in a use case"
        )
    if event.__doc__ == UNDESCRIBED:
        yield f"{event.__name__} does not say what has happened: write its docstring"
    if not (ROOT / "tests" / "contracts" / name / f"{event_type}.json").is_file():
        yield f"{event_type} has no sample: add tests/contracts/{name}/{event_type}.json"
    if not (ROOT / "tests" / "contracts" / "released" / f"{event_type}.json").is_file():
        yield (
            f"tests/contracts/released has no copy of {event_type}: once its fields are settled,"
            f" copy tests/contracts/{name}/{event_type}.json there"
        )
    if event_type not in portal.participant().reactions.by_event:
        yield f"the portal does not consume {event_type}: add it to {PORTAL}/consumers.py"
    if issubclass(event, PurchaseEvent) or event_type in portal.OF_A_PAYOUT:
        yield from _gaps_of_page(event_type)


def _gaps_of_page(event_type: str) -> Iterator[str]:
    """Yield the places where the page of a purchase does not show the event."""
    if wording.event_name(event_type) == event_type.rpartition(".v")[0]:
        yield f"{event_type} has no name for people: add it to EVENTS in {PORTAL}/web/wording.py"
    else:
        yield from _gaps_of_translations(wording.event_name(event_type))


def _gaps_of_translations(text: str) -> Iterator[str]:
    for locale in i18n.TRANSLATED:
        message = i18n.catalogue(locale).get(text)
        if message is None or not message.string:
            yield (
                f'"{text}" has no translation: after ./taskw translations, write it in'
                f" {PORTAL}/language/locales/{locale}.po"
            )


def _inner_code(name: str) -> Iterator[Path]:
    """Yield the modules of the domain and the application, without the definitions of events."""
    for part in ("domain", "application"):
        for path in (ROOT / "services" / name / part).glob("*.py"):
            if path.name != "events.py":
                yield path


def _mentions(path: Path, word: str) -> bool:
    return re.search(rf"\b{word}\b", path.read_text()) is not None


def reference(name: str) -> str:
    """Return the service as pyproject.toml names a participant."""
    return f"services.{name}.infrastructure.consumers:participant"


def participant(name: str) -> Participant | None:
    """Return the participant, or None where the service has no code."""
    module, _, function = reference(name).partition(":")
    try:
        found: Participant = getattr(importlib.import_module(module), function)()
    except ModuleNotFoundError:
        return None
    return found


def takes_steps(name: str) -> bool:
    """Return whether the service does more than keep a view of what others publish."""
    ours = participant(name)
    return ours is not None and any(each.step is not Step.VIEW for each in ours.reacts_to)


def default_port(name: str) -> int | None:
    """Return the port, or None where there are no settings."""
    try:
        module = importlib.import_module(f"services.{name}.infrastructure.settings")
    except ModuleNotFoundError:
        return None
    [own] = [each for each in vars(module).values() if _is_settings(each, module.__name__)]
    port: int = own.model_fields["port"].default
    return port


def _is_settings(each: object, module: str) -> bool:
    return (
        isinstance(each, type) and issubclass(each, ServiceSettings) and each.__module__ == module
    )
