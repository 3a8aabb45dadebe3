"""A template becomes an answer in the visitor's language and theme, with a page's headers."""

import base64
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache, partial
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

from babel.dates import format_date, format_datetime, format_time, format_timedelta
from babel.numbers import format_currency, format_decimal
from fastapi import Request, Response
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from pydantic import BaseModel, Field
from starlette.responses import HTMLResponse, RedirectResponse

from services.portal.domain.user import User
from services.portal.infrastructure.identity.sessions import sessions_of
from services.portal.infrastructure.language import i18n, import_words
from services.portal.infrastructure.language.sentences import Said, sentence
from services.portal.infrastructure.peers.dead_letter_desk import refused_at
from services.portal.infrastructure.web import assets, charts, wording
from services.portal.infrastructure.web.forms import amount_of
from services.portal.infrastructure.web.navigation import entries_for

TEMPLATES = Path(__file__).parent / "templates"
LOCALE_COOKIE, THEME_COOKIE, FLASH_COOKIE = "locale", "theme", "flash"
THEMES = ("light", "dark")
FLASH_SECONDS = 60
UNITS = (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1))
"""These signs of units are the same in all languages of the portal. Each has its seconds."""
MAX_FLASH = 500
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; font-src 'self'; img-src 'self';"
        " connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}
"""Every answer of the portal's origin has these headers, also one to a program."""
FOR_TLS = {"Strict-Transport-Security": "max-age=31536000"}
"""These headers are also sent where TLS ends before the portal."""

Tone = Literal["go", "wait", "back", "info"]


@dataclass(frozen=True)
class Flash:
    """A flash is one sentence that is shown once, on the next page. `text` is in English or a
    refusal, and is shown translated.
    """

    text: str
    tone: Tone = "go"


class _KeptFlash(BaseModel):
    """A flash has this form in its cookie."""

    text: str
    tone: Tone
    code: str = ""
    params: dict[str, str | int] = Field(default_factory=dict)

    @classmethod
    def of(cls, flash: Flash) -> "_KeptFlash":
        if isinstance(flash.text, Said):
            said = flash.text
            return cls(text="", tone=flash.tone, code=said.code, params=dict(said.params))
        return cls(text=flash.text[:MAX_FLASH], tone=flash.tone)

    @property
    def flash(self) -> Flash:
        text = Said(self.text, self.code, self.params) if self.code else self.text[:MAX_FLASH]
        return Flash(text, self.tone)


def locale_of(request: Request, visitor: User | None) -> str:
    """Return the language chosen on this device, else for the account, else by the browser."""
    return i18n.choose(
        request.cookies.get(LOCALE_COOKIE),
        visitor.locale if visitor else None,
        accept_language=request.headers.get("accept-language", ""),
    )


def render(
    request: Request, template: str, visitor: User | None, *, status: int = 200, **context: Any
) -> Response:
    """Render a whole page. A waiting flash is shown and deleted."""
    locale, sessions = locale_of(request, visitor), sessions_of(request)
    flash = _waiting(request)
    content = (
        environment(locale)
        .get_template(template)
        .render(
            {
                "visitor": visitor,
                "locale": locale,
                "theme": request.cookies.get(THEME_COOKIE, ""),
                "path": request.url.path,
                "here": quote(_here(request)),
                "csrf_token": sessions.csrf_token(request),
                "flashes": [flash] if flash else [],
                "navigation": entries_for(visitor),
                "languages": i18n.LANGUAGES,
                **context,
            }
        )
    )
    response = HTMLResponse(content, status)
    sessions.remember_visitor(request, response)
    if flash:
        response.delete_cookie(FLASH_COOKIE)
    return response


def fragment(request: Request, template: str, visitor: User | None, **context: Any) -> str:
    """Return a part of a page as text, to be sent alone."""
    return environment(locale_of(request, visitor)).get_template(template).render(context)


def redirect(to: str, flash: Flash | None = None) -> Response:
    """Answer a form with See Other, and with a sentence for the next page."""
    response = RedirectResponse(to, 303, {"Cache-Control": "no-store"})
    if flash:
        kept = base64.urlsafe_b64encode(_KeptFlash.of(flash).model_dump_json().encode()).decode()
        response.set_cookie(FLASH_COOKIE, kept, FLASH_SECONDS, httponly=True, samesite="lax")
    return response


@cache
def environment(locale: str) -> Environment:
    made = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.i18n"],
        auto_reload=False,
    )
    made.policies["ext.i18n.trimmed"] = True
    made.install_gettext_translations(  # type: ignore[attr-defined]
        i18n.translations(locale), newstyle=True
    )
    made.globals["asset"] = assets.address
    made.globals["now"] = lambda: datetime.now(UTC)
    made.filters.update(_filters(locale))
    return made


def _filters(locale: str) -> Mapping[str, Any]:
    region = i18n.REGIONS[locale]

    def money(cents: int | None) -> str:
        if cents is None:
            return "–"
        # Spanish locales write BRL before the amount. The whole market knows the sign of the real.
        return format_currency(cents / 100, "BRL", locale=region).replace("BRL", "R$")

    def number(value: float) -> str:
        return format_decimal(value, locale=region)

    def tenths(value: float) -> str:
        return format_decimal(value, format="#,##0.0", locale=region)

    def moment(at: datetime) -> str:
        return f"{format_datetime(at, 'medium', tzinfo=UTC, locale=region)} UTC"

    def clock(at: datetime) -> str:
        return f"{format_time(at, 'medium', tzinfo=UTC, locale=region)} UTC"

    def day(at: datetime) -> str:
        return format_date(at, "long", locale=region)

    def since(at: datetime) -> str:
        delta: timedelta = at - datetime.now(UTC)
        return format_timedelta(delta, add_direction=True, locale=region)

    def duration(ms: int) -> str:
        """Return the duration in at most two units, such as `12.3 s`, `15 min 3 s`, `3 d 4 h`."""
        if abs(ms) < 10_000:
            return f"{number(ms)} ms"
        if abs(ms) < 60_000:
            return f"{tenths(ms / 1000)} s"
        sign, seconds = "-" if ms < 0 else "", abs(ms) // 1000
        large = next(each for each in range(len(UNITS)) if seconds >= UNITS[each][1])
        parts = [
            f"{number(seconds // UNITS[large][1])} {UNITS[large][0]}",
            f"{seconds % UNITS[large][1] // UNITS[large + 1][1]} {UNITS[large + 1][0]}",
        ]
        return sign + " ".join(parts)

    def bars(points: Sequence[charts.Point], unit: str) -> Markup:
        return charts.bars(points, partial(short, unit))

    def short(unit: str, value: float) -> str:
        """Return the value beside a bar. Money is in whole reais."""
        if unit == "cents":
            return f"R$ {number(round(value / 100))}"
        if unit == "seconds":
            return duration(round(value * 1000))
        return number(value) + (" %" if unit == "percent" else "")

    def translated(text: str) -> str:
        if isinstance(text, Said):
            return sentence(text, locale)
        return i18n.translated(text, locale)

    def named(naming: Callable[[str], str]) -> Callable[[str], str]:
        return lambda value: translated(naming(value))

    return {
        "money": money,
        "amount": amount_of,
        "number": number,
        "tenths": tenths,
        "refused_at": refused_at,
        "moment": moment,
        "clock": clock,
        "day": day,
        "since": since,
        "duration": duration,
        "bars": bars,
        "translated": translated,
        **{naming.__name__: named(naming) for naming in wording.NAMES},
        "state_tone": wording.state_tone,
        "row_text": lambda error: import_words.row_text(error, locale),
        "whole_text": lambda reason: import_words.whole_text(reason, locale),
        "column_name": lambda column: import_words.column_name(column, locale),
        "reason": lambda code, of_another=False: translated(
            wording.reason(code, of_another=of_another)
        ),
        "labelled": lambda pairs: [(value, translated(text)) for value, text in pairs],
    }


def _waiting(request: Request) -> Flash | None:
    """Return the flash in the cookie, or None where the cookie is not the portal's."""
    try:
        raw = base64.urlsafe_b64decode(request.cookies.get(FLASH_COOKIE, ""))
        return _KeptFlash.model_validate_json(raw).flash
    except ValueError:
        return None


def _here(request: Request) -> str:
    """Return the page to come back to after a change of language or theme."""
    if request.method != "GET":
        return "/"
    query = request.url.query
    return request.url.path + (f"?{query}" if query else "")
