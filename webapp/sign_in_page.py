"""The page that asks for user name and password: no script, and nothing that is fetched."""

import base64
import hashlib
import html
import json
import re
from pathlib import Path
from urllib.parse import quote

from starlette.datastructures import Headers
from starlette.responses import HTMLResponse

from webapp.headers import HEADERS

HERE = Path(__file__).parent
# A language's first part, as browsers name it, and the table of its words.
LANGUAGES = {"en": "en", "zh": "zh-CN"}
QUALITY = re.compile(r"q=([01](?:\.\d{0,3})?)")
PLACE = re.compile(r"\{\{([a-z_.]+)\}\}")
MOST_LANGUAGES = 20


class SignInPage:
    """Draws the page in a visitor's language; light or dark as the browser prefers."""

    def __init__(self) -> None:
        style = (HERE / "assets" / "sign_in.css").read_text(encoding="utf-8")
        icon = (HERE / "assets" / "icon.svg").read_text(encoding="utf-8")
        self._page = (HERE / "assets" / "sign_in.html").read_text(encoding="utf-8")
        self._parts = {"style": style, "icon": f"data:image/svg+xml,{quote(icon)}"}
        self._words = {
            name: json.loads((HERE / "i18n" / f"{name}.json").read_text(encoding="utf-8"))
            for name in LANGUAGES.values()
        }
        digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
        self._headers = {
            "Cache-Control": "no-store",
            "Content-Security-Policy": f"default-src 'none'; style-src 'sha256-{digest}'; "
            "img-src data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
            # Without a Referrer-Policy the form's Origin would be null: another site's.
            **HEADERS,
        }

    def answer(
        self,
        headers: Headers,
        *,
        action: str,
        wanted: str,
        status: int = 401,
        problem: str = "",
        wait: int = 0,
        user: str = "",
    ) -> HTMLResponse:
        """The page for a request with these headers. ``problem`` is a key of the table of words,
        ``wait`` the seconds that it tells, ``user`` what was filled in before."""
        language = preferred(headers.get("accept-language", ""))
        words = self._words[language]
        told = words[problem].replace("{seconds}", str(wait)) if problem else ""
        values = {
            "lang": language,
            "action": action,
            "next": wanted,
            "user": user,
            "problem": told,
        }
        # Their places in the page are chosen here, not by what stands in them.
        marks = {
            "no_problem": "" if told else "hidden",
            "invalid": "true" if problem == "sign_in.wrong" else "false",
            "focus_user": "" if user else "autofocus",
            "focus_password": "autofocus" if user else "",
        }
        escaped = {name: html.escape(value) for name, value in (words | values).items()}
        filled = escaped | self._parts | marks
        page = PLACE.sub(lambda place: filled[place[1]], self._page)
        retry = {"Retry-After": str(wait)} if wait else {}
        return HTMLResponse(page, status, {**self._headers, **retry})


def preferred(accepted: str) -> str:
    """The table of words for an Accept-Language header (RFC 9110, 12.5.4)."""
    wanted: list[tuple[float, str]] = []
    for part in accepted.split(",")[:MOST_LANGUAGES]:
        tag, _, rest = part.strip().lower().partition(";")
        quality = QUALITY.search(rest)
        wanted.append((float(quality[1]) if quality else 1.0, tag.partition("-")[0]))
    for quality_, first in sorted(wanted, key=lambda one: -one[0]):
        if quality_ and first in LANGUAGES:
            return LANGUAGES[first]
    return "en"
