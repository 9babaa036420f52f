"""Signing in and out: sessions and how they end, the form, where it leads, cookies."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from configs.settings import ServerSettings
from webapp import accounts as accounts_module
from webapp import sessions as sessions_module
from webapp import sign_in_form
from webapp.accounts import Accounts, account_line
from webapp.checking import GUESSES, SECONDS_A_GUESS
from webapp.errors import CannotListen
from webapp.proxy import Forwarded, RootPath
from webapp.serving import _refuse_own_names, guarded
from webapp.sessions import Sessions
from webapp.sign_in_form import MAX_BYTES, own_target
from webapp.sign_in_page import PLACE, SignInPage, preferred
from webapp.signing_in import USER, SignIn

BROWSER = {"Accept": "text/html,application/xhtml+xml", "Accept-Language": "en-GB,en;q=0.9"}
HOUR = 3600.0
RIGHT = {"user": "anna", "password": "red"}


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture(autouse=True)
def _cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"LOG_N": 4, "P": 1}.items():
        monkeypatch.setattr(f"webapp.passwords.{name}", value)
    monkeypatch.setattr(accounts_module, "LOOK_AGAIN_S", 0.0)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def lines() -> dict[str, str]:
    return {user: account_line(user, word) for user, word in (("anna", "red"), ("ben", "blue"))}


@pytest.fixture
def file(tmp_path: Path, lines: dict[str, str]) -> Path:
    path = tmp_path / "users"
    path.write_text("\n".join(lines.values()))
    path.chmod(0o600)
    return path


@pytest.fixture
def accounts(file: Path) -> Accounts:
    return Accounts("me:pass:word", file)


async def inside(scope: Scope, receive: Receive, send: Send) -> None:
    """The application: answers with who is signed in."""
    kind = {"Content-Type": "text/html"} if scope["path"].endswith("/") else {}
    await JSONResponse({"user": scope.get(USER)}, headers=kind)(scope, receive, send)


@pytest.fixture
def app(accounts: Accounts, clock: Clock) -> SignIn:
    return SignIn(inside, accounts, idle_s=8 * HOUR, longest_s=24 * HOUR, clock=clock)


def visit(
    app: ASGIApp,
    act: Callable[[httpx.AsyncClient], Awaitable[Any]],
    base: str = "http://server:9099",
    address: str = "10.0.0.1",
) -> Any:
    """What a browser gets of an application."""

    async def visiting() -> Any:
        transport = httpx.ASGITransport(app, client=(address, 1))
        async with httpx.AsyncClient(
            transport=transport, base_url=base, headers=BROWSER
        ) as browser:
            return await act(browser)

    return asyncio.run(visiting())


async def signed_in(browser: httpx.AsyncClient, **fields: str) -> httpx.Response:
    return await browser.post("/sign-in", data={**RIGHT, **fields})


def shown(answer: httpx.Response) -> str:
    """What the sign-in page tells; empty where it tells nothing."""
    told = re.search(r'<p id="problem" role="alert" (hidden)?>(.*?)</p>', answer.text)
    assert told is not None
    assert (told[1] == "hidden") == (told[2] == "")
    return unescape(told[2])


# Sessions.


@pytest.fixture
def sessions(accounts: Accounts, clock: Clock) -> Sessions:
    return Sessions(accounts, idle_s=8 * HOUR, longest_s=24 * HOUR, clock=clock)


def begun(sessions: Sessions, accounts: Accounts, user: str = "anna") -> str:
    entry = accounts.entry(user)
    assert entry is not None
    return sessions.begin(user, entry)


def test_a_session_ends_when_it_is_not_used(
    sessions: Sessions, accounts: Accounts, clock: Clock
) -> None:
    token = begun(sessions, accounts)
    for _ in range(2):
        clock.now += 7 * HOUR
        assert sessions.user_of(token) == "anna"
    clock.now += 8 * HOUR
    assert sessions.user_of(token) is None
    clock.now -= 8 * HOUR
    assert sessions.user_of(token) is None, "it came back"


def test_a_session_ends_after_a_day_however_busy(
    sessions: Sessions, accounts: Accounts, clock: Clock
) -> None:
    token = begun(sessions, accounts)
    for _ in range(23):
        clock.now += HOUR
        assert sessions.user_of(token) == "anna"
    clock.now += HOUR
    assert sessions.user_of(token) is None


def test_tokens_are_random_and_only_their_hashes_are_kept(
    sessions: Sessions, accounts: Accounts
) -> None:
    tokens = {begun(sessions, accounts) for _ in range(50)}
    assert len(tokens) == 50
    assert all(len(token) == 43 for token in tokens)  # 256 bits in base64
    kept = repr(vars(sessions))
    assert not [token for token in tokens if token in kept]
    for wrong in ("", "x", next(iter(tokens))[:-1]):
        assert sessions.user_of(wrong) is None


def test_one_user_has_so_many_sessions_and_displaces_nobody_else(
    sessions: Sessions, accounts: Accounts, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sessions_module, "MOST_OF_A_USER", 3)
    ben = begun(sessions, accounts, "ben")
    tokens = []
    for _ in range(3):
        clock.now += 1
        tokens.append(begun(sessions, accounts))
    clock.now += 1
    assert sessions.user_of(tokens[0]) == "anna"  # used last
    newest = begun(sessions, accounts)
    left = [sessions.user_of(token) for token in (*tokens, newest, ben)]
    assert left == ["anna", None, "anna", "anna", "ben"]
    clock.now += 8 * HOUR
    begun(sessions, accounts)
    assert len(sessions._sessions) == 1  # what has ended takes no place


def test_users_who_change_are_out_and_others_stay(
    sessions: Sessions, accounts: Accounts, file: Path, lines: dict[str, str]
) -> None:
    users = ("anna", "ben", "me")
    tokens = {user: begun(sessions, accounts, user) for user in users}

    def left() -> list[str]:
        return [user for user in users if sessions.user_of(tokens[user])]

    assert left() == ["anna", "ben", "me"]
    file.write_text(f"# the same people\n{lines['ben']}\n\n{lines['anna']}")
    assert left() == ["anna", "ben", "me"]
    file.write_text(f"{account_line('anna', 'green')}\n{lines['ben']}")
    assert left() == ["ben", "me"]
    file.write_text(lines["anna"])
    assert left() == ["me"]
    assert accounts.entry("nobody") is None


# The page.


def test_a_browser_gets_a_page_and_no_window_of_its_own(app: SignIn) -> None:
    answer = visit(app, lambda browser: browser.get("/?q=a&b=%22%3E<x>"))
    assert (answer.status_code, answer.headers["content-type"][:9]) == (401, "text/html")
    assert "www-authenticate" not in answer.headers
    assert answer.headers["cache-control"] == "no-store"
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert "<script" not in answer.text
    assert not re.search(r'(src|href)="(?!data:)', answer.text)
    assert 'action="/sign-in"' in answer.text
    assert shown(answer) == ""
    assert "<x>" not in answer.text
    wanted = re.search(r'name="next" value="([^"]*)"', answer.text)
    assert wanted is not None
    assert unescape(wanted[1]) == "/?q=a&b=%22%3E%3Cx%3E"
    assert not PLACE.search(answer.text), "something was not filled in"


def test_the_style_is_the_one_that_the_policy_allows() -> None:
    from base64 import b64encode
    from hashlib import sha256

    answer = SignInPage().answer(httpx_headers({}), action="/sign-in", wanted="/")
    style = re.search(rb"<style>(.*?)</style>", bytes(answer.body), re.DOTALL)
    assert style is not None
    digest = b64encode(sha256(style[1]).digest()).decode()
    assert f"style-src 'sha256-{digest}';" in answer.headers["content-security-policy"]


def httpx_headers(given: dict[str, str]) -> Any:
    from starlette.datastructures import Headers

    return Headers(given)


@pytest.mark.parametrize(
    ("accepted", "table"),
    [
        ("", "en"),
        ("zh-CN,zh;q=0.9,en;q=0.8", "zh-CN"),
        ("zh-TW", "zh-CN"),
        ("de-DE,de;q=0.9,en;q=0.5,zh;q=0.7", "zh-CN"),
        ("fr", "en"),
        ("zh;q=0,en;q=0.1", "en"),
        ("zh;q=nonsense", "zh-CN"),
        (",;q=,*", "en"),
    ],
)
def test_the_page_speaks_the_visitor_s_language(app: SignIn, accepted: str, table: str) -> None:
    assert preferred(accepted) == table
    language = {"Accept-Language": accepted}
    answer = visit(app, lambda browser: browser.get("/", headers=language))
    words = json.loads(
        (Path(__file__).parents[2] / "webapp" / "i18n" / f"{table}.json").read_text("utf-8")
    )
    assert f'<html lang="{table}">' in answer.text
    assert words["sign_in.password"] in answer.text


def test_what_is_no_page_s_first_request_gets_no_page(app: SignIn) -> None:
    async def asked(browser: httpx.AsyncClient) -> None:
        for method, headers in (
            ("GET", {"Accept": "image/avif,*/*"}),
            ("GET", {"Accept": "application/json"}),
            ("POST", {}),
            ("DELETE", {}),
        ):
            answer = await browser.request(method, "/api/x", headers=headers)
            assert (answer.status_code, answer.json()["kind"]) == (401, "signed_out")
            # A browser would open its own window over the page.
            assert "www-authenticate" not in answer.headers

    visit(app, asked)


def test_programs_are_asked_by_basic_and_come_in_by_it(app: SignIn) -> None:
    async def asked(browser: httpx.AsyncClient) -> None:
        for name in ("Accept", "Accept-Language"):
            del browser.headers[name]
        made_up = {"Cookie": "image-search-9099=made-up"}
        for headers in ({}, made_up, {"Accept-Language": "*"}):
            for method, path in (("GET", "/"), ("POST", "/api/search"), ("GET", "/sign-in")):
                answer = await browser.request(method, path, headers=headers)
                assert answer.status_code == 401
                assert answer.headers["www-authenticate"].startswith("Basic ")
                assert answer.text == "user name and password, please"
        assert (await browser.get("/", auth=("anna", "red"))).json() == {"user": None}
        wrong = await browser.get("/", auth=("anna", "blue"), headers=BROWSER)
        assert wrong.headers["www-authenticate"].startswith("Basic ")

    visit(app, asked)


def test_a_websocket_needs_a_session_or_a_password(app: SignIn) -> None:
    entered: list[Any] = []

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        entered.append(scope.get(USER))

    app._app = application

    async def connect(*cookies: tuple[bytes, bytes]) -> list[Any]:
        sent: list[Any] = []

        async def send(message: Any) -> None:
            sent.append(message)

        scope = {
            "type": "websocket", "path": "/", "scheme": "ws",
            "headers": [(b"host", b"server:9099"), *cookies],
        }  # fmt: skip
        await app(scope, None, send)  # type: ignore[arg-type]
        return sent

    closed = [{"type": "websocket.close", "code": 1008}]
    assert asyncio.run(connect()) == closed
    assert asyncio.run(connect((b"cookie", b"image-search-9099=made-up"))) == closed
    token = begun(app._sessions, app._accounts)
    assert asyncio.run(connect((b"cookie", f"image-search-9099={token}".encode()))) == []
    assert entered == ["anna"]


# The form.


def test_signing_in_and_out(app: SignIn) -> None:
    async def scenario(browser: httpx.AsyncClient) -> None:
        answer = await signed_in(browser, next="/?q=lemon&show=12")
        assert (answer.status_code, answer.headers["location"]) == (303, "/?q=lemon&show=12")
        (name, token) = next(iter(browser.cookies.items()))
        assert name == "image-search-9099"
        given = answer.headers["set-cookie"]
        assert given == f"{name}={token}; Path=/; HttpOnly; SameSite=Lax"
        page = await browser.get("/")
        assert page.json() == {"user": "anna"}
        assert page.headers["cache-control"] == "no-store"
        assert "cache-control" not in (await browser.get("/api/x")).headers
        again = await browser.get("/sign-in")
        assert (again.status_code, again.headers["location"]) == (303, "/")
        assert (await browser.get("/sign-out")).status_code == 303
        assert (await browser.get("/api/x")).status_code == 200, "a GET has signed out"

        out = await browser.post("/sign-out")
        assert (out.status_code, out.headers["location"]) == (303, "/")
        assert "Max-Age=0" in out.headers["set-cookie"]
        assert out.headers["clear-site-data"] == '"cache"'
        assert (await browser.get("/")).status_code == 401
        late = await browser.get("/", headers={"Cookie": f"{name}={token}"})
        assert late.status_code == 401, "the token still opens"

    visit(app, scenario)


def test_signing_in_anew_ends_what_was_before(app: SignIn) -> None:
    async def scenario(browser: httpx.AsyncClient) -> None:
        await signed_in(browser)
        before = browser.cookies["image-search-9099"]
        await signed_in(browser, user="ben", password="blue")
        assert (await browser.get("/")).json() == {"user": "ben"}
        assert browser.cookies["image-search-9099"] != before
        assert app._sessions.user_of(before) is None

    visit(app, scenario)


def test_a_wrong_form_tells_nothing_of_who_there_is(app: SignIn) -> None:
    async def scenario(browser: httpx.AsyncClient) -> None:
        bodies = []
        for user, password in (("anna", "s3cr3t<"), ("nobody", "s3cr3t<"), ("", ""), ("a:b", "c")):
            answer = await signed_in(browser, user=user, password=password, next="/?q=a")
            assert answer.status_code == 401
            assert "www-authenticate" not in answer.headers
            assert "set-cookie" not in answer.headers
            assert shown(answer) == "User name or password is wrong."
            assert "s3cr3t" not in answer.text
            assert 'name="next" value="/?q=a"' in answer.text
            bodies.append(answer.text.replace(f'value="{user}"', 'value=""'))
        assert bodies[0] == bodies[1]
        answer = await signed_in(browser, user='"><b>', password="x")
        assert "<b>" not in answer.text

    visit(app, scenario)


def test_a_colon_ends_the_name_as_in_basic(app: SignIn, file: Path, lines: Any) -> None:
    async def scenario(browser: httpx.AsyncClient) -> None:
        await signed_in(browser, user="me:pass", password="word")
        assert (await browser.get("/")).json() == {"user": "me"}

    visit(app, scenario)


def test_guessing_by_form_and_by_basic_is_one_allowance(app: SignIn, clock: Clock) -> None:
    async def scenario(browser: httpx.AsyncClient) -> None:
        for n in range(GUESSES - 1):
            assert (await signed_in(browser, password=f"{n}")).status_code == 401
        assert (await signed_in(browser, password="0")).status_code == 401  # no new guess
        assert (await browser.get("/", auth=("anna", "last"))).status_code == 401
        late = await signed_in(browser)
        assert (late.status_code, int(late.headers["retry-after"])) == (429, SECONDS_A_GUESS)
        assert shown(late).endswith("Try again in 6 seconds.")
        assert "set-cookie" not in late.headers
        assert (await browser.get("/", auth=("anna", "red"))).status_code == 429
        clock.now += 3 * SECONDS_A_GUESS + 1
        assert (await signed_in(browser)).status_code == 303

    visit(app, scenario)
    assert visit(app, signed_in, address="10.0.0.2").status_code == 303


def test_sessions_are_not_slowed_down_by_those_who_guess(app: SignIn) -> None:
    async def scenario(browser: httpx.AsyncClient) -> None:
        await signed_in(browser)
        for n in range(GUESSES + 3):
            await signed_in(browser, password=f"{n}")
        assert (await browser.get("/")).json() == {"user": "anna"}

    visit(app, scenario)


@pytest.mark.parametrize(
    ("content", "kind", "status"),
    [
        ("user=anna&password=red", "text/plain", 415),
        ('{"user": "anna"}', "application/json", 415),
        ("user=" + "a" * MAX_BYTES, sign_in_form.FORM, 413),
        (urlencode({"user": "anna", "password": "a" * 4000}), sign_in_form.FORM, 413),
        ("&".join(f"a{n}=1" for n in range(50)), sign_in_form.FORM, 400),
        ("user=%ff%fe&password=red", sign_in_form.FORM, 400),
        ("user=anna&password=r\xe9d", sign_in_form.FORM, 400),
        ("", sign_in_form.FORM, 401),
        ("user=anna&password=red", sign_in_form.FORM + "; charset=UTF-8", 303),
    ],
)
def test_forms_that_cannot_be_read_are_refused(
    app: SignIn, content: str, kind: str, status: int
) -> None:
    headers = {"Content-Type": kind}
    answer = visit(app, lambda b: b.post("/sign-in", content=content, headers=headers))
    assert answer.status_code == status
    assert "anna" not in answer.text


def test_a_form_that_does_not_end_is_given_up(app: SignIn, monkeypatch: pytest.MonkeyPatch) -> None:
    async def endless() -> AsyncIterator[bytes]:
        yield b"user=anna"
        while True:
            yield b"&a=" + b"b" * 1000

    headers = {"Content-Type": sign_in_form.FORM}
    answer = visit(app, lambda b: b.post("/sign-in", content=endless(), headers=headers))
    assert answer.status_code == 413

    monkeypatch.setattr(sign_in_form, "FORM_S", 0.05)
    started: list[Any] = []

    async def slow() -> Any:
        await asyncio.Event().wait()

    async def send(message: Any) -> None:
        started.append(message)

    scope = {
        "type": "http", "method": "POST", "path": "/sign-in", "scheme": "http",
        "headers": [(b"content-type", sign_in_form.FORM.encode())],
    }  # fmt: skip
    asyncio.run(app(scope, slow, send))
    assert started[0]["status"] == 408


OWN = [
    "/",
    "/?q=a",
    "/media/12/image",
    "/?view=library&show=1",
    "/a//b",
    "/%2f/evil.example",
    "/@a",
]
FOREIGN = ["//evil.example", "/\\evil.example", "\\\\evil.example", "https://evil.example", "evil"]
FOREIGN += ["/\t/evil.example", "/\n/evil", "/a\r\nSet-Cookie: a=b", "", " /", "/ ", "/a\x00", "/é"]
FOREIGN += ["javascript:alert(1)", "/a" * 4000, "///evil", "/a\\b"]


@pytest.mark.parametrize("wanted", OWN)
def test_a_form_leads_to_what_was_wanted(app: SignIn, wanted: str) -> None:
    answer = visit(app, lambda browser: signed_in(browser, next=wanted))
    assert answer.headers["location"] == wanted == own_target(wanted)


@pytest.mark.parametrize("wanted", FOREIGN)
def test_a_form_leads_nowhere_else(app: SignIn, wanted: str) -> None:
    answer = visit(app, lambda browser: signed_in(browser, next=wanted))
    assert answer.status_code in (303, 413)
    assert answer.headers.get("location", "/") == "/" == own_target(wanted)
    assert "a=b" not in answer.headers.get("set-cookie", "")


def test_a_page_below_a_root_path_leads_back_there(app: SignIn) -> None:
    below = RootPath(app, "/pictures")

    async def scenario(browser: httpx.AsyncClient) -> None:
        for path in ("/pictures/media/1/image?v=2", "/media/1/image?v=2"):
            page = await browser.get(path)
            assert 'action="/pictures/sign-in"' in page.text
            assert 'name="next" value="/media/1/image?v=2"' in page.text
        for path in ("/pictures/sign-in", "/pictures/sign-out"):
            assert 'name="next" value="/"' in (await browser.get(path)).text
        answer = await browser.post("/pictures/sign-in", data={**RIGHT, "next": "/?q=a"})
        assert answer.headers["location"] == "/pictures/?q=a"
        assert "; Path=/pictures;" in answer.headers["set-cookie"]
        assert (await browser.get("/pictures/")).json() == {"user": "anna"}
        foreign = await browser.post("/pictures/sign-in", data={**RIGHT, "next": "//evil"})
        assert foreign.headers["location"] == "/pictures/"

    visit(below, scenario)


def test_the_cookie_is_secure_where_a_known_proxy_speaks_https(app: SignIn) -> None:
    https = {"X-Forwarded-Proto": "https", "X-Forwarded-For": "203.0.113.1"}

    async def given(browser: httpx.AsyncClient) -> str:
        answer = await browser.post("/sign-in", data=RIGHT, headers=https)
        return str(answer.headers["set-cookie"])

    assert visit(Forwarded(app, "10.0.0.1"), given).endswith("; SameSite=Lax; Secure")
    assert "Secure" not in visit(Forwarded(app, "10.0.0.9"), given)
    assert "Secure" in visit(app, given, base="https://server")


def test_servers_of_one_host_keep_their_cookies_apart(app: SignIn) -> None:
    async def name(browser: httpx.AsyncClient) -> str:
        return str((await signed_in(browser)).headers["set-cookie"]).partition("=")[0]

    for base, expected in (
        ("http://server:9099", "image-search-9099"),
        ("http://[::1]:8000", "image-search-8000"),
        ("http://server", "image-search"),
        ("http://[::1]", "image-search"),
    ):
        assert visit(app, name, base=base) == expected

    async def two_of_a_name(browser: httpx.AsyncClient) -> httpx.Response:
        token = begun(app._sessions, app._accounts)
        cookie = f"a=b; image-search-9099=of-another; image-search-9099={token}"
        return await browser.get("/", headers={"Cookie": cookie})

    assert visit(app, two_of_a_name).json() == {"user": "anna"}


def test_other_sites_can_sign_nobody_in_or_out(accounts: Accounts) -> None:
    app = guarded(inside, ServerSettings(), accounts, 1000, local=True)

    async def scenario(browser: httpx.AsyncClient) -> None:
        foreign = ({"Origin": "http://evil.example"}, {"Sec-Fetch-Site": "cross-site"})
        for headers in (*foreign, {"Origin": "null"}, {"Sec-Fetch-Site": "same-site"}):
            answer = await browser.post("/sign-in", data=RIGHT, headers=headers)
            assert (answer.status_code, "set-cookie" in answer.headers) == (403, False)
        own = {"Origin": "http://localhost:9099", "Sec-Fetch-Site": "same-origin"}
        assert (await browser.post("/sign-in", data=RIGHT, headers=own)).status_code == 303
        for headers in foreign:
            assert (await browser.post("/sign-out", headers=headers)).status_code == 403
            assert (await browser.post("/api/x", headers=headers)).status_code == 403
        assert (await browser.get("/")).json() == {"user": "anna"}
        assert (await browser.post("/sign-out", headers=own)).status_code == 303
        assert (await browser.get("/")).status_code == 401

    visit(app, scenario, base="http://localhost:9099")


def test_a_root_path_like_the_form_s_is_refused() -> None:
    from fastapi import FastAPI

    for path in ("/sign-in", "/sign-out/x"):
        with pytest.raises(CannotListen, match="begins like this program's own"):
            _refuse_own_names(FastAPI(), path)
