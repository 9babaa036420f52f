"""Nothing but indexed pictures leaves the server, however it is asked, and nobody else's."""

import itertools
import json
import os
import shutil
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from killing import content_hash
from PIL import Image
from raw_requests import ask, filled, routes, spellings
from support import run

from webapp.gate import MCP, PAGE

SECRET = b"8f1c-nobody-may-read-this-2b7e"
# What the page needs of Gradio; another one that is open is to be thought about first.
OPEN_OF_GRADIO = {
    "/", "/config", "/theme.css", "/robots.txt", "/favicon.ico",
    "/assets/{path:path}", "/static/{path:path}",
    "/gradio_api/info", "/gradio_api/openapi.json", "/gradio_api/app_id", "/gradio_api/theme.css",
    "/gradio_api/startup-events", "/gradio_api/heartbeat/{session_hash}",
}  # fmt: skip


@dataclass(frozen=True)
class Place:
    """A server, and what lies around it on the disk."""

    address: str
    library: Path
    data: Path
    working: Path
    uploads: Path


@pytest.fixture(scope="module")
def place(
    library: Path, serve_all: Callable[..., str], tmp_path_factory: pytest.TempPathFactory
) -> Place:
    """A small library, secrets all around it, and a server in a folder of settings."""
    root = tmp_path_factory.mktemp("safety")
    own, data, working, uploads = (root / name for name in ("own", "data", "working", "uploads"))
    (own / "lemon").mkdir(parents=True)
    for path in sorted((library / "lemon").iterdir())[:12]:
        shutil.copy(path, own / "lemon")
    (root / "linked").mkdir()
    for n, path in enumerate(sorted((library / "apple").iterdir())[:2]):
        shutil.copy(path, root / "linked" / f"{n}.jpg")
        (own / "lemon" / f"link{n}.jpg").symlink_to(root / "linked" / f"{n}.jpg")
    ran = run("index-folder", own, "--model", "sample", data=data)
    assert ran.code == 0, ran.err
    working.mkdir()
    for secret in (working / ".env", working / "settings.toml", data / "settings.toml"):
        secret.write_bytes(b"# " + SECRET)
    (data / "thumbnails" / "notes").mkdir(parents=True)
    (data / "thumbnails" / "notes" / "mine.webp").write_bytes(SECRET)
    for secret in (root / "outside.jpg", own / "lemon" / "later.jpg", own / ".hidden.jpg"):
        secret.write_bytes(SECRET)
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("GRADIO_TEMP_DIR", str(uploads))
        address = serve_all(data, "--server-requests-per-minute", "0", "--mcp", cwd=working)
    return Place(address, own, data, working, uploads)


@pytest.fixture(scope="module")
def hits(place: Place) -> dict[str, str]:
    """Ids of the indexed pictures by file name."""
    answer = httpx.get(f"{place.address}/api/search?q=lemon&top_k=100&fold=0", timeout=120).json()
    return {Path(hit["path"]).name: hit["id"] for hit in answer["hits"]}


def targets(place: Place) -> list[Path]:
    """Files that must not be served: secrets, settings, the store, the system's."""
    root = place.library.parent
    of_store = [p for p in sorted(place.data.rglob("*")) if p.is_file() and p.stat().st_size > 16]
    # The encoded segments of the store, its write-ahead log, and so on: one of each kind.
    kinds = {path.suffix or path.name: path for path in of_store}
    return [
        *(place.working / name for name in (".env", "settings.toml")),
        *(
            root / "outside.jpg",
            place.library / "lemon" / "later.jpg",
            place.library / ".hidden.jpg",
        ),
        *kinds.values(),
        Path("/etc/passwd"),
    ]


def test_no_spelling_of_a_path_leads_to_a_file(place: Place) -> None:
    """Every route, with every spelling in place of its parameters, after it and in its query."""
    known = routes()
    assert ("GET", "/gradio_api/file={path_or_url:path}") in known  # Gradio's own are among them
    wanted = targets(place)
    assert len(wanted) >= 8
    secrets = {SECRET, *(path.read_bytes()[:64] for path in wanted)}
    assert all(len(secret) > 8 for secret in secrets)

    def attempts(path: Path) -> list[tuple[str, str]]:
        found = []
        for (method, route), spelling in itertools.product(known, spellings(path)):
            targets = [filled(route, spelling)] if "{" in route else [f"{route}/{spelling}"]
            if route in ("/{path:path}", "/file={path:path}"):
                targets.append(f"/file={spelling}")
            found += [(method, target.replace(" ", "%20")) for target in targets]
        return found

    def try_one(attempt: tuple[str, str]) -> None:
        method, target = attempt
        answer = ask(place.address, target.encode(), method)
        assert answer.status < 500, target
        assert not [secret for secret in secrets if secret in answer.body], target

    # The first one on every route; the others, which lie in the same places, on those for files.
    tried = attempts(wanted[0])
    files = (
        "/media",
        "/static",
        "/assets",
        "/svelte",
        "/gradio_api/file",
        "/file",
        "/{",
        "/api/docs/",
    )
    for path in wanted[1:]:
        tried += [(m, t) for m, t in attempts(path) if m == "GET" and t.startswith(files)]
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(try_one, dict.fromkeys(tried)))


@pytest.mark.parametrize(
    "target",
    [
        b"/media/\x00/image", b"/assets/..\x00/..", b"/\xff\xfe", b"/assets/%00",
        b"/media/%00/image", b"/gradio_api/file=\x00/etc/passwd", b"/media/1%00/image",
        b"/%", b"/%zz", b"//etc/passwd", b"http://127.0.0.1/etc/passwd", b"/../../etc/passwd",
        b"/media/-1/image", b"etc/passwd",
        b"/media/1e3/image", b"/media/99999999999999999999999/image", b"/media/01/image/../../..",
        b"/theme.css/../../../../etc/passwd", b"/media/%31%32/image", b"/media/1/../2/image",
    ],
)  # fmt: skip
def test_what_is_no_path_at_all_is_refused(place: Place, target: bytes) -> None:
    answer = ask(place.address, target)
    assert 400 <= answer.status < 500, answer.head
    assert b"root:" not in answer.body


def test_gradio_shows_what_the_page_needs_and_nothing_else() -> None:
    own = {"/api/docs", "/api/docs/{name}", "/api/openapi.json", "/api/search", "/api/stats"}
    own |= {"/page/start", "/page/files/{name}", "/manifest.json"}
    own |= {"/healthz", "/media/{image_id}/image", "/media/{image_id}/thumbnail"}
    opened = set()
    for _, route in routes():
        path = filled(route, "a")
        if route not in own and not route.startswith("/api/") and PAGE.fullmatch(path):
            opened.add(route)
        assert not MCP.fullmatch(path) or route.startswith("/gradio_api/mcp/")
    assert opened == OPEN_OF_GRADIO


def test_no_argument_of_a_function_is_taken_for_a_file(place: Place, tmp_path: Path) -> None:
    """Gradio opens what looks like a file before the function is called; a pipe stops it all."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    known = [path for _, path in routes() if "{api_name}" in path or "queue" in path]
    assert "/gradio_api/run/{api_name}" in known
    secret = place.library.parent / "outside.jpg"
    kept = [place.uploads, Path(tempfile.gettempdir()) / "gradio"]
    before = {path for folder in kept for path in folder.rglob("*")}
    for route, named in itertools.product(known, (secret, pipe, tmp_path, "http://127.0.0.1:1/a")):
        data = [{"path": str(named), "meta": {"_type": "gradio.FileData"}}, 3]
        target = place.address + filled(route, "search_images")
        body = {"data": data, "session_hash": "a", "fn_index": 0}
        answer = httpx.post(target, json=body, timeout=20)
        assert answer.status_code == 404, route
        assert httpx.get(f"{place.address}/healthz", timeout=5).status_code == 200
    assert {path for folder in kept for path in folder.rglob("*")} == before


def image(place: Place, key: str, kind: str = "image") -> httpx.Response:
    return httpx.get(f"{place.address}/media/{key}/{kind}", timeout=60)


def disguised(path: Path, like: Path) -> Path:
    """A secret with the size and time of a picture."""
    status = like.stat()
    path.write_bytes(SECRET.ljust(status.st_size, b"!"))
    os.utime(path, ns=(status.st_mtime_ns, status.st_mtime_ns))
    return path


@pytest.mark.parametrize("same", [False, True], ids=["another", "of the same size and time"])
def test_a_link_in_a_picture_s_place_is_not_followed(
    place: Place, hits: dict[str, str], same: bool
) -> None:
    name = sorted(name for name in hits if "link" not in name)[int(same)]
    picture, key = place.library / "lemon" / name, hits[name]
    assert image(place, key).content == picture.read_bytes()
    thumbnail = image(place, key, "thumbnail").content
    secret = place.library.parent / "outside.jpg"
    if same:
        disguised(secret, picture)
    picture.unlink()
    picture.symlink_to(secret)
    answer = image(place, key)
    assert (answer.status_code, "since it was indexed" in answer.json()["error"]) == (404, True)
    expect_gone_or_as_it_was(image(place, key, "thumbnail"), thumbnail)


def expect_gone_or_as_it_was(answer: httpx.Response, thumbnail: bytes) -> None:
    """Of what looks like the indexed picture at most that picture's own thumbnail is shown."""
    assert answer.status_code == 404 or answer.content == thumbnail


@pytest.mark.parametrize("same", [False, True], ids=["another", "of the same size and time"])
def test_an_indexed_link_s_new_target_is_not_shown(
    place: Place, hits: dict[str, str], same: bool
) -> None:
    name = f"link{int(same)}.jpg"
    link = place.library / "lemon" / name
    assert image(place, hits[name]).content == link.read_bytes()
    thumbnail = image(place, hits[name], "thumbnail").content
    secret = place.library.parent / f"secret{int(same)}"
    secret.write_bytes(SECRET)
    if same:
        disguised(secret, link)
    link.unlink()
    link.symlink_to(secret)
    assert image(place, hits[name]).status_code == 404
    expect_gone_or_as_it_was(image(place, hits[name], "thumbnail"), thumbnail)


def test_a_folder_in_the_way_that_became_a_link_is_not_followed(
    place: Place, hits: dict[str, str]
) -> None:
    folder = place.library / "lemon"
    name = sorted(name for name in hits if "link" not in name)[2]
    moved = folder.rename(place.library.parent / "moved")
    elsewhere = place.library.parent / "elsewhere"
    elsewhere.mkdir()
    try:
        disguised(elsewhere / name, moved / name)
        folder.symlink_to(elsewhere)
        assert image(place, hits[name]).status_code == 404
        folder.unlink()
    finally:
        moved.rename(folder)
    assert image(place, hits[name]).status_code == 200


def test_a_link_in_a_kept_thumbnail_s_place_is_not_followed(
    place: Place, hits: dict[str, str]
) -> None:
    name = sorted(name for name in hits if "link" not in name)[3]
    folder = place.data / "thumbnails"
    before = set(folder.rglob("*.webp"))
    first = image(place, hits[name], "thumbnail")
    assert (first.status_code, first.headers["content-type"]) == (200, "image/webp")
    made = set(folder.rglob("*.webp")) - before or before
    for kept in made:
        kept.unlink()
        kept.symlink_to(place.working / ".env")
    again = image(place, hits[name], "thumbnail")
    assert again.content == first.content
    assert (place.working / ".env").read_bytes().endswith(SECRET)


def test_pictures_are_had_by_id_alone(place: Place, hits: dict[str, str]) -> None:
    name = sorted(name for name in hits if "link" not in name)[4]
    picture = place.library / "lemon" / name
    assert image(place, hits[name]).content == picture.read_bytes()
    for other in (name, f"lemon/{name}", str(int(hits[name]) + 1)):
        assert image(place, other).status_code in (400, 404)


def test_ids_of_another_collection_are_nobody_s(place: Place, library: Path) -> None:
    """Its rows lie in the same store, its thumbnails in the same folder."""
    others = ("--milvus-collection", "others", "--model", "sample", "--json")
    ran = run("index-folder", library / "banana", *others, data=place.data)
    assert ran.code == 0, ran.err
    found = run("image-search", "search", "banana", *others[:2], "--json", data=place.data)
    hit = json.loads(found.out)["hits"][0]
    assert list((place.data / "thumbnails").rglob(f"{content_hash(Path(hit['path']))}.webp"))
    for path in (f"/media/{hit['id']}/image", f"/media/{hit['id']}/thumbnail"):
        assert httpx.get(place.address + path, timeout=60).status_code == 404
    for path in (f"/api/images/{hit['id']}", f"/api/search?like={hit['id']}"):
        answer = httpx.get(place.address + path, timeout=60)
        assert answer.status_code in (400, 404)
        assert hit["path"] not in answer.text


@pytest.fixture(scope="module")
def guarded(place: Place, serve_all: Callable[..., str]) -> str:
    return serve_all(place.data, "--auth", "me:secret", "--mcp", cwd=place.working)


def all_addresses() -> list[tuple[str, str]]:
    """(method, path) of every route, and of some that there are not."""
    listed = [(method, filled(route, "1")) for method, route in routes()]
    listed += [("GET", "/no/such/address"), ("OPTIONS", "/"), ("DELETE", "/api/search")]
    return [*listed, ("PUT", "/"), ("GET", "/sign-in"), ("GET", "/sign-out"), ("PUT", "/sign-in")]


def cookie(address: str, token: str) -> str:
    return f"Cookie: image-search-{urlsplit(address).port}={token}"


def signed_in(address: str) -> str:
    """The token of a new session."""
    form = {"user": "me", "password": "secret"}
    answer = httpx.post(f"{address}/sign-in", data=form, timeout=60)
    assert answer.status_code == 303
    return next(iter(answer.cookies.values()))


def test_every_route_asks_a_stranger_for_the_password(guarded: str) -> None:
    ended = signed_in(guarded)
    assert ask(guarded, b"/healthz", "GET", cookie(guarded, ended)).status == 200
    assert ask(guarded, b"/sign-out", "POST", cookie(guarded, ended)).status == 303
    for method, path in all_addresses():
        for header in (
            [],
            ["Authorization: Basic bWU6d3Jvbmc="],
            ["Authorization: Bearer secret"],
            [cookie(guarded, "made-up")],
            [cookie(guarded, ended)],
        ):
            answer = ask(guarded, path.encode(), method, *header)
            assert answer.status == 401, (method, path)
            assert b"www-authenticate: basic" in answer.head.lower()
    with httpx.Client(base_url=guarded, auth=("me", "secret"), timeout=60) as friend:
        for path in ("/", "/config", "/api/stats", "/healthz", "/api/docs"):
            assert friend.get(path).status_code == 200


def test_every_route_shows_a_browser_that_is_not_signed_in_nothing(guarded: str) -> None:
    browser = ["Accept: text/html,*/*", "Accept-Language: en"]
    for method, path in all_addresses():
        for header in ([], [cookie(guarded, "made-up")]):
            answer = ask(guarded, path.encode(), method, *browser, *header)
            assert answer.status == 401, (method, path)
            assert b"www-authenticate" not in answer.head.lower()
            page = method in ("GET", "HEAD")
            assert (b"text/html" in answer.head.lower()) == page, (method, path)
            assert page or json.loads(answer.body)["kind"] == "signed_out"


def test_a_session_does_nothing_for_another_site(guarded: str) -> None:
    """Where it could, by a GET that changes something or by any other method."""
    session = cookie(guarded, signed_in(guarded))
    for method, path in (*all_addresses(), ("POST", "/sign-in"), ("POST", "/sign-out")):
        for foreign in ("Origin: http://evil.example", "Sec-Fetch-Site: cross-site"):
            if method not in ("GET", "HEAD", "OPTIONS"):
                answer = ask(guarded, path.encode(), method, session, foreign)
                assert answer.status == 403, (method, path)
    # What a GET reaches reads: signing in and out do not.
    for path in (b"/sign-in?user=me&password=secret", b"/sign-out"):
        answer = ask(guarded, path, "GET", session, "Sec-Fetch-Site: cross-site")
        assert (answer.status, b"set-cookie" in answer.head.lower()) == (403, False)
    assert ask(guarded, b"/healthz", "GET", session).status == 200


def test_every_route_answers_with_the_headers_that_keep_others_out(place: Place) -> None:
    listed = [(method, filled(route, "1")) for method, route in routes()]
    for method, path in [*listed, ("GET", "/no/such/address"), ("GET", "/media/%00")]:
        if path.startswith(("/gradio_api/heartbeat/", "/gradio_api/mcp")):
            continue  # streams without an end
        answer = ask(place.address, path.encode(), method)
        said = dict(line.split(b": ", 1) for line in answer.head.lower().split(b"\r\n")[1:])
        assert said[b"x-frame-options"] == b"deny", (method, path)
        assert said[b"x-content-type-options"] == b"nosniff", (method, path)
        assert said[b"cross-origin-resource-policy"] == b"same-origin", (method, path)
        assert said[b"content-security-policy"], (method, path)


def test_pictures_keep_a_stricter_policy(place: Place, hits: dict[str, str]) -> None:
    for kind in ("image", "thumbnail"):
        answers = [image(place, key, kind) for key in hits.values()]
        policies = {a.headers["content-security-policy"] for a in answers if a.status_code == 200}
        assert policies == {"sandbox"}


def test_another_site_shows_no_picture_and_spends_no_search(
    place: Place, hits: dict[str, str]
) -> None:
    other = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"}
    own = {**other, "Sec-Fetch-Site": "same-origin"}
    for path in ("/api/search?q=lemon", f"/media/{max(hits.values())}/thumbnail", "/theme.css"):
        url = place.address + path
        assert httpx.get(url, headers=other, timeout=60).status_code == 403, path
        assert httpx.get(url, headers=own, timeout=60).status_code != 403, path
    link = {**other, "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
    assert httpx.get(f"{place.address}/?q=lemon", headers=link, timeout=60).status_code == 200


def test_large_requests_are_refused_on_every_route(place: Place, serve: Callable[..., str]) -> None:
    address = serve(place.data, "--server-max-upload-mb", "1", cwd=place.working)
    large = b'{"data": ["' + b"x" * 1_100_000 + b'"]}'
    for method, route in routes():
        if method == "POST":
            answer = ask(
                address,
                filled(route, "1").encode(),
                method,
                "Content-Type: application/json",
                body=large,
            )
            assert answer.status == 413, route
            assert json.loads(answer.body)["error"].startswith("the request is larger than 1 MB")


def test_large_pictures_are_refused(
    place: Place, serve: Callable[..., str], tmp_path: Path
) -> None:
    address = serve(place.data, "--server-max-pixels", "1000", cwd=place.working)
    for size, status in (((40, 25), 200), ((40, 26), 400)):
        Image.new("RGB", size, "red").save(tmp_path / "red.png")
        with (tmp_path / "red.png").open("rb") as file:
            answer = httpx.post(f"{address}/api/search", files={"image": file}, timeout=120)
        assert answer.status_code == status, answer.text
    assert "limit of 1000" in answer.json()["error"]


def test_two_visitors_learn_nothing_of_each_other(place: Place, library: Path) -> None:
    words, picture = "a zebra crossing 4711", min((library / "banana").iterdir())
    before = set(place.data.rglob("*"))
    with (
        httpx.Client(base_url=place.address, timeout=120) as first,
        httpx.Client(base_url=place.address, timeout=120) as other,
    ):
        answer = first.post("/api/search", json={"q": words})
        first.get("/api/search", params={"q": words})
        with picture.open("rb") as file:
            found = first.post("/api/search", files={"image": file})
        assert found.status_code == 200
        shown = b"".join(
            other.get(path).content
            for path in (
                "/", "/config", "/api/stats", "/gradio_api/info", "/gradio_api/queue/status",
                "/?deep_link=one", "/config?deep_link=one", "/api/search?q=lemon",
                "/gradio_api/deep_link?session_hash=one", "/gradio_api/call/search_images/one",
            )
        )  # fmt: skip
        # Gradio keeps answers that wait for their visitor by a name that the visitor chose.
        for session in ("one", "two"):
            kept = other.get(f"/gradio_api/queue/data?session_hash={session}")
            assert kept.status_code == 404
        assert answer.status_code == 200, answer.text
        assert words.encode() not in shown
        assert str(picture).encode() not in shown
    # An uploaded picture is nowhere on the disk.
    content = picture.read_bytes()
    left = [p for p in place.uploads.rglob("*") if p.is_file()] if place.uploads.exists() else []
    left += [p for p in set(place.data.rglob("*")) - before if p.is_file()]
    assert [path for path in left if content[:4096] in path.read_bytes()] == []


def test_thirty_people_at_once_see_no_error(place: Place) -> None:
    def person(number: int) -> list[int]:
        with httpx.Client(base_url=place.address, timeout=120) as client:
            words = ("lemon", "apple", f"fruit number {number}")
            answers: list[Any] = [client.get("/api/search", params={"q": q}) for q in words]
            urls = [hit["thumbnail_url"] for hit in answers[0].json()["hits"][5:8]]
            answers += [client.get(url) for url in urls]
            return [answer.status_code for answer in answers]

    with ThreadPoolExecutor(30) as people:
        codes = [code for person_s in people.map(person, range(30)) for code in person_s]
    # Some pictures are gone by now: other tests put links in their place.
    assert set(codes) <= {200, 404}
    assert codes.count(200) >= 90
