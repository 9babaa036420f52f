"""Signing in and out: a page for browsers in front of HTTP Basic, and sessions that end."""

import time
from collections.abc import Callable

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from webapp.accounts import Accounts
from webapp.addresses import visitor
from webapp.auth import BasicAuth
from webapp.checking import PasswordChecks
from webapp.proxy import own_path
from webapp.sessions import Sessions
from webapp.sign_in_form import SIGN_IN, SIGN_OUT, BadForm, read_form, wanted_of
from webapp.sign_in_page import SignInPage

COOKIE = "image-search"
# Of one name there are several where servers below each other's paths share a host.
MOST_COOKIES = 4
# Where the application finds who is signed in.
USER = "signed_in_user"
PROBLEMS = {401: "sign_in.wrong", 429: "sign_in.slow", 503: "sign_in.busy"}


class SignIn:
    """ASGI middleware around the whole application, in place of BasicAuth, which it holds.

    Who has a session comes in. Browsers that have none get the sign-in page where they ask for one,
    and elsewhere an answer that opens no window of theirs for passwords; all else is asked for them
    by HTTP Basic. ``idle_s`` and ``longest_s`` are seconds that a session lasts.
    """

    def __init__(
        self,
        app: ASGIApp,
        accounts: Accounts,
        *,
        idle_s: float,
        longest_s: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._app = app
        self._accounts = accounts
        self._checks = PasswordChecks(accounts, clock)
        self._basic = BasicAuth(app, self._checks)
        self._sessions = Sessions(accounts, idle_s=idle_s, longest_s=longest_s, clock=clock)
        self._page = SignInPage()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        own = own_path(scope) if scope["type"] == "http" else ""
        if own in (SIGN_IN, SIGN_OUT) and scope["method"] == "POST":
            signing = self._sign_in if own == SIGN_IN else self._sign_out
            await (await signing(scope, receive, headers))(scope, receive, send)
        elif "authorization" in headers:
            await self._basic(scope, receive, send)
        elif (user := self._user(headers)) is not None:
            if own in (SIGN_IN, SIGN_OUT):
                await _to(scope, "/")(scope, receive, send)
            else:
                await self._app({**scope, USER: user}, receive, _keeping_no_page(send))
        elif scope["type"] == "http" and _from_browser(headers):
            await self._stranger(scope, headers)(scope, receive, send)
        else:
            await self._basic(scope, receive, send)

    def _user(self, headers: Headers) -> str | None:
        found = (self._sessions.user_of(token) for token in _tokens(headers))
        return next((user for user in found if user is not None), None)

    def _stranger(self, scope: Scope, headers: Headers) -> Response:
        if scope["method"] in ("GET", "HEAD") and "text/html" in headers.get("accept", ""):
            action = scope.get("root_path", "") + SIGN_IN
            return self._page.answer(headers, action=action, wanted=wanted_of(scope))
        problem = {"error": "you are not signed in; sign in again", "kind": "signed_out"}
        return JSONResponse(problem, 401, {"Cache-Control": "no-store"})

    async def _sign_in(self, scope: Scope, receive: Receive, headers: Headers) -> Response:
        try:
            form = await read_form(headers, receive)
        except BadForm as error:
            return PlainTextResponse(str(error), error.status, {"Connection": "close"})
        self._accounts.refresh()
        # What HTTP Basic would take for the name: a colon ends it.
        user = form.credentials.partition(":")[0]
        entry = self._accounts.entry(user)
        verdict = await self._checks.judge(visitor(scope), form.credentials)
        if verdict.status == 200 and entry is not None:
            self._end(headers)
            answer = _to(scope, form.wanted)
            answer.headers["Set-Cookie"] = _cookie(
                scope, headers, self._sessions.begin(user, entry)
            )
            return answer
        status = 401 if verdict.status == 200 else verdict.status
        return self._page.answer(
            headers,
            action=scope.get("root_path", "") + SIGN_IN,
            wanted=form.wanted,
            status=status,
            problem=PROBLEMS[status],
            wait=verdict.wait,
            user=form.user,
        )

    async def _sign_out(self, scope: Scope, receive: Receive, headers: Headers) -> Response:
        self._end(headers)
        answer = _to(scope, "/")
        answer.headers["Set-Cookie"] = _cookie(scope, headers, "") + "; Max-Age=0"
        # Thumbnails, and pages that the back button would show (https and this machine alone).
        answer.headers["Clear-Site-Data"] = '"cache"'
        return answer

    def _end(self, headers: Headers) -> None:
        for token in _tokens(headers):
            self._sessions.end(token)


def _from_browser(headers: Headers) -> bool:
    """Whether a 401 that asks for Basic would open the browser's own window for passwords."""
    accepted = headers.get("accept-language", "*")  # programs send none, or * as Node does
    return accepted != "*" or "text/html" in headers.get("accept", "")


def _tokens(headers: Headers) -> list[str]:
    pairs = (pair.strip().partition("=") for pair in headers.get("cookie", "").split(";"))
    name = _cookie_name(headers)
    return [value for given, _, value in pairs if given == name][:MOST_COOKIES]


def _cookie(scope: Scope, headers: Headers, token: str) -> str:
    path = scope.get("root_path", "") or "/"
    secure = "; Secure" if scope["scheme"] == "https" else ""
    return f"{_cookie_name(headers)}={token}; Path={path}; HttpOnly; SameSite=Lax{secure}"


def _cookie_name(headers: Headers) -> str:
    """With the port that the browser sees: a host's servers share its cookies (RFC 6265, 8.5)."""
    port = headers.get("host", "").rpartition(":")[2]
    return f"{COOKIE}-{port}" if port.isdecimal() and port.isascii() else COOKIE


def _to(scope: Scope, target: str) -> Response:
    """Lead to a path below the root path; the browser asks for it by GET."""
    where = scope.get("root_path", "") + target
    return RedirectResponse(where, 303, {"Cache-Control": "no-store"})


def _keeping_no_page(send: Send) -> Send:
    """After signing out, the back button must not show a page."""

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            if headers.get("content-type", "").startswith("text/html"):
                headers["Cache-Control"] = "no-store"
        await send(message)

    return sending
