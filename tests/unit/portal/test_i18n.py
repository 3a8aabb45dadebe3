"""The catalogues are complete, and the right one is chosen."""

import re

import pytest
from babel.messages.catalog import Message

from services.portal.infrastructure.language import i18n

PLACEHOLDER = re.compile(r"%\([a-z_]+\)s")


def texts(message: Message, *, of: str) -> list[str]:
    found = getattr(message, of)
    return list(found) if isinstance(found, (tuple, list)) else [found or ""]


@pytest.mark.parametrize("locale", i18n.TRANSLATED)
def test_every_text_is_translated_and_none_too_many(locale: str) -> None:
    known = {message.id: message for message in i18n.catalogue(locale) if message.id}
    wanted = {message.id for message in i18n.messages() if message.id}
    advice = "run ./taskw translations, and translate what it names"
    assert wanted == known.keys(), advice
    untranslated = [m.id for m in known.values() if not all(texts(m, of="string"))]
    assert untranslated == [], advice
    assert [m.id for m in known.values() if m.fuzzy] == []


@pytest.mark.parametrize("locale", i18n.TRANSLATED)
def test_translations_keep_the_placeholders(locale: str) -> None:
    for message in i18n.catalogue(locale):
        if message.id:
            wanted = sorted(PLACEHOLDER.findall(texts(message, of="id")[0]))
            for text in texts(message, of="string"):
                assert sorted(PLACEHOLDER.findall(text)) == wanted, message.id


@pytest.mark.parametrize(
    ("wanted", "accept_language", "locale"),
    [
        ((None, None), "", "en"),
        ((None, None), "pt-BR,pt;q=0.9,en;q=0.8", "pt"),
        ((None, None), "de-DE,es;q=0.5", "es"),
        ((None, "es"), "pt-BR", "es"),
        (("pt", "es"), "en", "pt"),
        (("xx", None), "fr", "en"),
        ((None, None), ";;,,q=", "en"),
    ],
)
def test_the_device_decides_then_the_account_then_the_browser(
    wanted: tuple[str | None, str | None], accept_language: str, locale: str
) -> None:
    assert i18n.choose(*wanted, accept_language=accept_language) == locale


def test_a_text_nobody_marked_stays_as_it_is() -> None:
    for text in ("Lot #7 has 3 wheels.", ""):
        assert i18n.translated(text, "pt") == text
