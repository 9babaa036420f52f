"""Other sites, proxies and names: what a request's headers and path are believed."""

import asyncio

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse
from starlette.routing import Route, Router
from starlette.types import ASGIApp, Receive, Scope, Send

from configs.settings import ServerSettings
from configs.sources import SettingsError, load_settings
from webapp.announcing import qr_code
from webapp.gate import PageGate
from webapp.headers import SafeHeaders
from webapp.proxy import Forwarded, RootPath, own_path
from webapp.serving import guarded
from webapp.sites import LOOPBACK, OwnSite, host_name


async def seen(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers with what it was asked."""
    headers = [[name.decode(), value.decode("latin1")] for name, value in scope["headers"]]
    answer = {
        "path": own_path(scope),
        "root": scope.get("root_path", ""),
        "client": scope["client"][0],
        "scheme": scope["scheme"],
        "headers": headers,
    }
    await JSONResponse(answer)(scope, receive, send)


def ask(
    app: ASGIApp, path: str = "/", peer: str = "127.0.0.1", **request: object
) -> httpx.Response:
    async def one() -> httpx.Response:
        transport = httpx.ASGITransport(app, client=(peer, 1))
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            return await client.request(request.pop("method", "GET"), path, **request)  # type: ignore[arg-type]

    return asyncio.run(one())


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost:9099", 200),
        ("LOCALHOST.", 200),
        ("127.0.0.1", 200),
        ("[::1]:9099", 200),
        ("evil.example", 403),
        ("127.0.0.1.evil.example:9099", 403),
        ("localhost@evil.example", 403),
        ("192.168.1.5", 403),
        ("", 403),
    ],
)
def test_a_local_server_answers_to_its_own_names(host: str, status: int) -> None:
    assert ask(OwnSite(seen, LOOPBACK), headers={"Host": host}).status_code == status
    assert ask(OwnSite(seen, None), headers={"Host": host}).status_code == 200


def test_names_of_hosts() -> None:
    assert [host_name(h) for h in ("A.b:80", "[::1]:9", "[::1]", "a.", "x")] == [
        "a.b", "::1", "::1", "a", "x",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("headers", "allowed"),
    [
        ({}, True),
        ({"Origin": "http://localhost"}, True),
        ({"Origin": "HTTP://LOCALHOST"}, True),
        ({"Origin": "http://localhost:8888"}, False),
        ({"Origin": "http://evil.example"}, False),
        ({"Origin": "null"}, False),
        ({"Origin": "http://evil.example", "Sec-Fetch-Site": "cross-site"}, False),
        ({"Sec-Fetch-Site": "same-site"}, False),
        # A proxy that does not hand on the host: the browser knows better.
        ({"Origin": "https://pictures.example", "Sec-Fetch-Site": "same-origin"}, True),
        ({"Origin": "https://pictures.example", "X-Forwarded-Host": "pictures.example"}, True),
    ],
)
def test_other_sites_change_nothing_and_read_nothing(
    headers: dict[str, str], allowed: bool
) -> None:
    app = OwnSite(seen, None)
    for method in ("POST", "DELETE", "PUT"):
        answer = ask(app, method=method, headers=headers)
        assert answer.status_code == (200 if allowed else 403), method
    if "Sec-Fetch-Site" in headers and not allowed:
        assert ask(app, headers=headers).status_code == 403
        return
    read = ask(app, headers=headers)
    assert read.status_code == 200
    kept = [name for name, _ in read.json()["headers"] if name == "origin"]
    assert bool(kept) == (allowed and "Origin" in headers)


LINK = {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
IMG = {"Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"}
FETCH = {"Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty"}
FRAME = {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"}
PAGES = ("/", "/?q=lemon", "/sign-in", "/api/docs")
ANSWERS = ("/api/search?q=a", "/api/stats", "/api", "/media/1/image", "/gradio_api/info")


@pytest.mark.parametrize("root_path", ["", "/pictures"])
@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_other_sites_may_link_to_the_page_and_have_nothing_made(site: str, root_path: str) -> None:
    app = RootPath(OwnSite(seen, None), root_path) if root_path else OwnSite(seen, None)

    def status(path: str, how: dict[str, str], of: str = site, method: str = "GET") -> int:
        headers = {"Sec-Fetch-Site": of, **how}
        return ask(app, root_path + path, method=method, headers=headers).status_code

    for path in PAGES:
        assert status(path, LINK) == 200, path
        for how in (IMG, FETCH, FRAME, {}):
            assert status(path, how) == 403, (path, how)
        assert status(path, LINK, method="HEAD") == 403
    for path in ANSWERS:
        for how in (LINK, IMG, FETCH, FRAME, {}):
            assert status(path, how) == 403, (path, how)
            assert status(path, how, "same-origin") == 200
            assert status(path, how, "none") == 200
        assert ask(app, root_path + path).status_code == 200


def test_what_others_say_of_a_visitor_is_not_believed() -> None:
    said = {
        "X-Forwarded-For": "203.0.113.9",
        "X-Forwarded-Proto": "https",
        "X-Forwarded-Host": "evil.example",
        "X-Gradio-Server": "http://evil.example",
        "Forwarded": "for=203.0.113.9",
        "X-Real-IP": "203.0.113.9",
    }
    for proxies, peer in (("", "127.0.0.1"), ("127.0.0.1,::1", "10.0.0.1")):
        answer = ask(Forwarded(seen, proxies), peer=peer, headers=said).json()
        assert (answer["client"], answer["scheme"]) == (peer, "http")
        assert not {name for name, _ in answer["headers"]} & {name.lower() for name in said}
    trusted = ask(Forwarded(seen, "10.0.0.0/8"), peer="10.0.0.1", headers=said).json()
    assert (trusted["client"], trusted["scheme"]) == ("203.0.113.9", "https")
    # The proxy's own word stands last; what a visitor put before it does not count.
    spoofed = {"X-Forwarded-For": "1.2.3.4, 203.0.113.9"}
    answer = ask(Forwarded(seen, "127.0.0.1"), headers=spoofed).json()
    assert answer["client"] == "203.0.113.9"


@pytest.mark.parametrize("prefix", ["/pictures", "/a/b"])
def test_a_root_path_is_stripped_or_not(prefix: str) -> None:
    app = RootPath(seen, prefix)
    for path in ("/", "/api/search", "/picturesque"):
        for asked in (path, prefix + path):
            answer = ask(app, asked).json()
            assert (answer["path"], answer["root"]) == (path, prefix)
    redirected = ask(app, prefix)
    assert (redirected.status_code, redirected.headers["location"]) == (307, prefix + "/")


@pytest.mark.parametrize("path", ["pictures", "/pictures/", "//a", "/a/../b", "/a b", "/a%2f"])
def test_a_root_path_that_is_none_is_told(path: str) -> None:
    with pytest.raises(SettingsError, match="it must begin with /"):
        load_settings({"server.root_path": path})


def test_root_paths_and_proxies_of_settings() -> None:
    for path in ("", "/", "/pictures", "/a/b-c_d.e~f"):
        assert load_settings({"server.root_path": path}).server.root_path == path
    with pytest.raises(SettingsError, match="'proxy' is no address"):
        load_settings({"server.trusted_proxies": "127.0.0.1, proxy"})


OPEN = ["/", "/config", "/theme.css", "/assets/index-D_p.js", "/static/js/a.b.min.js"]
OPEN += ["/gradio_api/info", "/gradio_api/heartbeat/a1"]
CLOSED = ["/gradio_api/upload", "/gradio_api/file=/etc/passwd", "/gradio_api/file/a", "/file=a"]
CLOSED += [
    "/gradio_api/proxy=http://a",
    "/gradio_api/mcp/",
    "/themexcss",
    "/monitoring",
    "/svelte/a",
]
CLOSED += [
    "/assets/../a",
    "/assets/.env",
    "/assets//etc/passwd",
    "/assets/a\\b",
    "/config\n",
    "/svelte/a",
]
CLOSED += [
    "/gradio_api/run/search",
    "/gradio_api/api/search",
    "/gradio_api/queue/join",
    "/gradio_api/queue/data",
    "/gradio_api/call/search",
]
CLOSED += ["/gradio_api/component_server", "/gradio_api/deep_link", "/gradio_api/vibe-code"]


@pytest.mark.parametrize(("paths", "status"), [(OPEN, 200), (CLOSED, 404)])
def test_only_what_the_page_needs_of_gradio_is_open(paths: list[str], status: int) -> None:
    for path in paths:
        for app, scope in (
            (PageGate(seen), {"path": path}),
            (PageGate(seen), {"path": "/pictures" + path, "root_path": "/pictures"}),
        ):
            assert asyncio.run(status_of(app, scope)) == status, path
    assert asyncio.run(status_of(PageGate(seen, mcp=True), {"path": "/gradio_api/mcp/"})) == 200


async def status_of(app: ASGIApp, scope: dict[str, str]) -> int:
    """The answer to a path as it is; a client would normalise it."""
    sent = []

    async def send(message: dict[str, object]) -> None:
        sent.append(message)

    async def receive() -> dict[str, object]:
        return {"type": "http.request", "body": b"", "more_body": False}

    whole = {"type": "http", "method": "GET", "headers": [], "client": ("a", 1), "scheme": "http"}
    await app({**whole, **scope}, receive, send)  # type: ignore[arg-type]
    return int(sent[0]["status"])  # type: ignore[call-overload]


def test_a_local_server_is_open_to_names_only_where_it_is_shared() -> None:
    def status(local: bool = True, **settings: object) -> int:
        app = guarded(seen, ServerSettings(**settings), None, 1000, local=local)  # type: ignore[arg-type]
        return ask(app, headers={"Host": "pictures.example"}).status_code

    assert status() == 403
    assert status(local=False) == 200
    for shared in ({"share": True}, {"root_path": "/"}, {"root_path": "/pictures"}):
        assert status(**shared) == 200
    assert status(host="pictures.example") == 200


EVERYWHERE = {
    "x-frame-options": "DENY",
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
}


def test_every_answer_tells_browsers_what_to_leave_alone() -> None:
    """Refusals, too; what an answer says itself stays."""
    app = guarded(seen, ServerSettings(), None, 1000, local=True)
    answers = [ask(app), ask(app, "/%0A"), ask(app, headers={"Host": "evil.example"})]
    answers += [ask(app, method="POST", content=b"x" * 2000)]
    assert [answer.status_code for answer in answers] == [200, 404, 403, 413]
    for answer in answers:
        assert {name: answer.headers.get(name) for name in EVERYWHERE} == EVERYWHERE
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
    page = ask(SafeHeaders(HTMLResponse("a page"))).headers["content-security-policy"]
    for part in ("default-src 'self'", "form-action 'self'", "frame-ancestors 'none'"):
        assert part in page.split("; ")
    own = HTMLResponse("sign in", headers={"Content-Security-Policy": "default-src 'none'"})
    assert ask(SafeHeaders(own)).headers.get_list("content-security-policy") == [
        "default-src 'none'"
    ]


# What SearchLimits counts.
COUNTED = [("GET", "/api/search"), ("POST", "/api/search"), ("GET", "/api/stats")]
COUNTED += [("GET", "/api/library"), ("GET", "/api/library/map"), ("POST", "/gradio_api/mcp/")]


@pytest.mark.parametrize("root_path", ["", "/pictures"])
def test_nothing_after_a_path_takes_it_past_the_limits(root_path: str) -> None:
    """Routes as Starlette matches them, behind all guards: counted, refused, or not there."""

    async def found(request: Request) -> PlainTextResponse:
        return PlainTextResponse("found")

    routes = [Route(path, found, methods=[method]) for method, path in COUNTED]
    settings = ServerSettings(requests_per_minute=1, root_path=root_path)
    for method, path in COUNTED:
        app = guarded(Router(routes), settings, None, 1000, local=True)
        assert ask(app, path, method=method).status_code == 200
        assert ask(app, path, method=method).status_code == 429
        for after in ("%0A", "%0D", "%0D%0A", "%00", "%09", "%1F", "%7F", "%20", "%C2%85", "%0A/"):
            answer = ask(app, path + after, method=method)
            assert answer.status_code in (404, 429), (method, path + after)


def test_paths_with_control_characters_are_nowhere() -> None:
    app = guarded(seen, ServerSettings(), None, 1000, local=True)
    for path in ("/%0A", "/a%0Ab", "/media/1/image%0A", "/%7F", "/api%00"):
        assert ask(app, path).status_code == 404, path
    for path in ("/", "/a%20b", "/%C3%A4", "/?q=a%0Ab"):
        assert ask(app, path).status_code == 200, path


def test_the_qr_code_is_whole() -> None:
    lines = qr_code("http://192.168.1.5:9099").splitlines()
    assert len({len(line) for line in lines}) == 1
    # Two rows of modules a line; a quiet zone of light around them.
    assert len(lines) == -(-len(lines[0]) // 2)
    assert set("".join(lines)) <= set(" ▀▄█")
    assert lines[0] == "█" * len(lines[0])
    assert "http" not in "".join(lines)
