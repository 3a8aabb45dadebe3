"""After a session has ended, a user signs in and goes on with the input of the last form."""

from collections.abc import Mapping
from urllib.parse import quote

from fastapi import Request, Response

from libs.runtime.limits import READING
from services.portal.domain.user import User
from services.portal.infrastructure.identity.sessions import SIGN_IN, sessions_of
from services.portal.infrastructure.language.i18n import marked
from services.portal.infrastructure.web.held import HELD_FIELD, Held, is_same_origin, page_of
from services.portal.infrastructure.web.templating import Flash, redirect, render

SIGN_OUT = "/sign-out"
FOR_STRANGERS = (SIGN_IN, "/register", "/forgot-password", "/reset-password")
ENDED = Flash(marked("Your session has ended. Please sign in and fill in the form again."), "info")
OUT_OF_DATE = Flash(marked("The page was out of date. Please fill in the form again."), "info")


async def go_on(request: Request, visitor: User | None) -> Response | None:
    """Answer a form of the portal that came without its session, or with another one. Returns None
    where that is not the case: the request is then refused, or redirected to the sign-in page.
    """
    path = request.url.path
    if request.method in READING or "HX-Request" in request.headers or not is_same_origin(request):
        return None
    if visitor is None and path == SIGN_OUT:
        return redirect("/")
    back, held = page_of(request), await Held.of(request)
    if path == SIGN_IN:  # the user has signed in in another tab meanwhile
        held = Held.read(str((await request.form()).get(HELD_FIELD, "")))
    if held is not None and visitor is not None:
        return resume_page(request, visitor, held, back)
    if path in FOR_STRANGERS or visitor is not None:
        return redirect(back, OUT_OF_DATE)
    if held is not None:
        return sign_in_page(request, back, {}, {}, 401, held=held)
    return redirect(f"{SIGN_IN}?next={quote(back, safe='/')}", ENDED)


def sign_in_page(
    request: Request,
    back: str,
    values: Mapping[str, str],
    errors: Mapping[str, str],
    status: int = 200,
    *,
    held: Held | None = None,
) -> Response:
    return render(
        request,
        "pages/sign_in.html",
        None,
        status=status,
        next=back,
        values=values,
        errors=errors,
        held=held,
    )


def resume_page(
    request: Request, user: User, held: Held, back: str, csrf_token: str | None = None
) -> Response:
    """Ask for confirmation before anything is sent, because another person may have signed in.
    `csrf_token` is that of a session that begins with this answer.
    """
    token = csrf_token or sessions_of(request).csrf_token(request)
    return render(request, "pages/resume.html", user, held=held, back=back, csrf_token=token)
