"""The catalogues in `locales/` hold the portal's languages, of which a visitor gets one.

`./taskw translations` updates the catalogues from the templates and the code. New texts are
untranslated at first, and a test reports them.
"""

import sys
from collections.abc import Iterator
from functools import cache
from io import BytesIO
from pathlib import Path

from babel.core import negotiate_locale
from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po
from babel.support import NullTranslations, Translations

from services.portal.domain.user import LOCALES

SOURCE = "en"
FOLDER = Path(__file__).parents[1]
CATALOGUES = Path(__file__).parent / "locales"
TRANSLATED = tuple(locale for locale in LOCALES if locale != SOURCE)
LANGUAGES = {"en": "English", "pt": "Português", "es": "Español"}
REGIONS = {"en": "en", "pt": "pt_BR", "es": "es_UY"}
"""Numbers, money and dates have the formats of these regions."""

_METHODS = [("**.html", "jinja2.ext:babel_extract"), ("**.py", "python")]
_KEYWORDS = {"_": None, "gettext": None, "ngettext": (1, 2), "marked": None}


def marked(message: str) -> str:
    """Mark a text that is translated later, where it is shown."""
    return message


@cache
def translations(locale: str) -> NullTranslations:
    """Return the translations of `locale`, from its catalogue. The code's own texts are English."""
    if locale == SOURCE:
        return NullTranslations()
    compiled = BytesIO()
    write_mo(compiled, catalogue(locale))
    compiled.seek(0)
    return Translations(compiled)


def translated(text: str, locale: str) -> str:
    """Return the translation into `locale` of a text that was `marked` elsewhere."""
    return translations(locale).gettext(text) if text else ""


def catalogue(locale: str) -> Catalog:
    """Return the translations of `locale`, as they are in its file."""
    with _path(locale).open("rb") as file:
        return read_po(file, locale=locale, abort_invalid=True)


def choose(*wanted: str | None, accept_language: str = "") -> str:
    """Return the first available of `wanted`, else the one the browser prefers, else English."""
    for locale in wanted:
        if locale in LOCALES:
            return locale
    preferred = [part.partition(";")[0].strip() for part in accept_language.split(",")]
    return negotiate_locale([each for each in preferred if each], LOCALES, sep="-") or SOURCE


def messages() -> Catalog:
    """Return every text of the templates and the code, untranslated."""
    found = Catalog(fuzzy=False)
    for name, line, message in _texts():
        found.add(message, locations=[(name, line)])
    return found


def _texts() -> Iterator[tuple[str, int, str | tuple[str, ...]]]:
    extracted = extract_from_dir(
        FOLDER, _METHODS, {"**.html": {"trimmed": "true", "silent": "false"}}, _KEYWORDS
    )
    for name, line, message, *_ in sorted(extracted, key=lambda each: (each[0], each[1])):
        yield name, line, message


def _path(locale: str) -> Path:
    return CATALOGUES / f"{locale}.po"


def update() -> Iterator[str]:
    """Rewrite the catalogues: add new texts, remove unused ones. Yields what is untranslated."""
    for locale in TRANSLATED:
        known = Catalog(
            locale,
            project="mercado-veiculo",
            version="1",
            fuzzy=False,
            creation_date=catalogue(locale).creation_date if _path(locale).exists() else None,
        )
        known.header_comment, known.msgid_bugs_address = "# The portal's texts.", "none"
        for message in catalogue(locale) if _path(locale).exists() else ():
            if message.id:
                known[message.id] = message
        known.update(messages(), no_fuzzy_matching=True, update_creation_date=False)
        known.obsolete.clear()
        with _path(locale).open("wb") as file:
            write_po(file, known, width=100, no_location=True, omit_header=False, sort_output=True)
        for message in known:
            if message.id and not all(_strings(message.string)):
                yield f"{locale}: {message.id}"


def _strings(text: str | tuple[str, ...] | list[str] | None) -> tuple[str, ...]:
    return (text or "",) if text is None or isinstance(text, str) else tuple(text)


if __name__ == "__main__":
    sys.stdout.writelines(f"{line}\n" for line in update())
