"""Sharing the server: users, the local network, reverse proxies, limits."""

import json
import os
import pty
import re
import subprocess
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest
from raw_requests import ask
from reverse_proxy import reverse_proxy
from support import BIN, run

from webapp.announcing import qr_code
from webapp.checking import GUESSES, SECONDS_A_GUESS

GIVE_UP_S = 60


def password_line(user: str, given: str) -> subprocess.CompletedProcess[str]:
    """``image-search password`` with a pipe."""
    return subprocess.run(
        [BIN / "image-search", "password", user], input=given, capture_output=True, text=True
    )


def first_line_of(data: Path, *options: object) -> str:
    """The one line of a server that does not start."""
    ran = run("image-search", "serve", "--port", "0", *options, data=data)
    assert ran.code != 0
    return ran.line


def terminal(data: Path, *options: str, until: str) -> str:
    """What ``serve`` says to a terminal, up to some words."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [BIN / "image-search", "serve", "--port", "0", *options],
        stderr=theirs,
        env={**os.environ, "IMAGE_SEARCH_DATA_DIR": str(data)},
    )
    os.close(theirs)
    said = b""
    try:
        while until.encode() not in said:
            said += os.read(ours, 65536)
    finally:
        process.terminate()
        process.wait(30)
        os.close(ours)
    return said.decode().replace("\r\n", "\n")


def test_users_of_a_file(indexed: Path, serve: Callable[..., str], tmp_path: Path) -> None:
    lines = {}
    for user, given in (("anna", "red apple\n"), ("ben", "blau:ü"), ("carl", "x")):
        made = password_line(user, given)
        assert (made.returncode, made.stderr) == (0, "")
        assert re.fullmatch(rf"{user}:\$scrypt\$ln=\d+,r=8,p=\d\$\S+\$\S+\n", made.stdout)
        assert given.strip() not in made.stdout or given == "x"
        lines[user] = made.stdout
    users = tmp_path / "users"
    users.write_text("# who may come in\n" + "".join(lines[user] for user in ("anna", "ben")))
    users.chmod(0o600)
    address = serve(indexed, "--auth-file", str(users), "--auth", "me:secret")

    def status(user: str, password: str) -> int:
        return httpx.get(f"{address}/healthz", auth=(user, password), timeout=60).status_code

    for right in (("anna", "red apple"), ("ben", "blau:ü"), ("me", "secret")):
        assert status(*right) == 200
    for wrong in (("anna", "red"), ("ben", "red apple"), ("carl", "x"), ("me", "")):
        assert status(*wrong) == 401
    assert httpx.get(f"{address}/healthz").status_code == 401
    # A page's pictures do not wait for the slow check of a password each.
    with httpx.Client(base_url=address, auth=("anna", "red apple"), timeout=60) as client:
        began = time.monotonic()
        assert [client.get("/healthz").status_code for _ in range(100)] == [200] * 100
        assert time.monotonic() - began < 10
    users.write_text(lines["carl"])
    until = time.monotonic() + GIVE_UP_S
    while status("anna", "red apple") == 200:
        assert time.monotonic() < until, "anna was removed and is still let in"
    assert (status("anna", "red apple"), status("carl", "x"), status("me", "secret")) == (
        401,
        200,
        200,
    )


def test_who_signed_in_is_out_when_the_file_changes(
    indexed: Path, serve: Callable[..., str], tmp_path: Path
) -> None:
    def line(user: str, given: str) -> str:
        return password_line(user, given).stdout

    users, ben = tmp_path / "users", line("ben", "blue")
    users.write_text(line("anna", "red") + ben)
    users.chmod(0o600)
    address = serve(indexed, "--auth-file", str(users))

    def session(user: str, password: str) -> httpx.Client:
        client = httpx.Client(base_url=address, timeout=60)
        form = {"user": user, "password": password, "next": "/healthz"}
        answer = client.post("/sign-in", data=form)
        assert (answer.status_code, answer.headers["location"]) == (303, "/healthz")
        assert client.get("/healthz").status_code == 200
        return client

    with closing(session("anna", "red")) as first, closing(session("ben", "blue")) as other:
        users.write_text(line("anna", "green") + ben)
        until = time.monotonic() + GIVE_UP_S
        while first.get("/healthz").status_code == 200:
            assert time.monotonic() < until, "anna's password changed and she is still in"
        assert other.get("/healthz").status_code == 200
        with closing(session("anna", "green")) as again:
            users.write_text(ben)
            until = time.monotonic() + GIVE_UP_S
            while again.get("/healthz").status_code == 200:
                assert time.monotonic() < until, "anna was removed and is still in"
        assert other.get("/page/start").json()["user"] == "ben"


def test_guessing_is_slowed_down(indexed: Path, serve: Callable[..., str]) -> None:
    address = serve(indexed, "--auth", "me:secret")
    began = time.monotonic()

    def guess(number: int) -> int:
        return httpx.get(address, auth=("me", f"{number}"), timeout=60).status_code

    with ThreadPoolExecutor(30) as guessers:
        codes = list(guessers.map(guess, range(30)))
    more = int((time.monotonic() - began) / SECONDS_A_GUESS)  # on a busy machine
    assert set(codes) == {401, 429}
    assert GUESSES <= codes.count(401) <= GUESSES + more
    answer = httpx.get(address, auth=("me", "another"))
    assert int(answer.headers["retry-after"]) >= 1
    assert "secret" not in answer.text
    form = httpx.post(f"{address}/sign-in", data={"user": "me", "password": "secret"})
    assert (form.status_code, "set-cookie" in form.headers) == (429, False)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("anna:red", "line 1: it is not user:$scrypt$"),
        ("# nobody\n", "names nobody"),
        (None, "No such file or directory"),
    ],
)
def test_a_file_that_cannot_be_used_is_told(
    indexed: Path, tmp_path: Path, content: str | None, said: str
) -> None:
    users = tmp_path / "users"
    if content is not None:
        users.write_text(content)
    line = first_line_of(indexed, "--auth-file", users)
    assert str(users) in line
    assert said in line
    assert "red" not in line


def test_passwords_that_are_none(indexed: Path) -> None:
    for given in ("", "\n"):
        made = password_line("anna", given)
        assert (made.returncode, made.stdout) == (1, "")
        assert "an empty password guards nothing" in made.stderr
    made = password_line("an:na", "x")
    assert (made.returncode, "no user name" in made.stderr) == (2, True)


def test_the_password_is_asked_twice_and_not_shown(tmp_path: Path) -> None:
    def typed(*words: bytes) -> tuple[int, bytes, bytes]:
        ours, theirs = pty.openpty()
        process = subprocess.Popen(
            [BIN / "image-search", "password", "anna"],
            stdin=theirs, stdout=subprocess.PIPE, stderr=theirs, start_new_session=True,
        )  # fmt: skip
        os.close(theirs)
        seen = b""
        for question, word in zip(
            (b"password for anna: ", b"the same again: "), words, strict=True
        ):
            while question not in seen:
                seen += os.read(ours, 1024)
            os.write(ours, word + b"\n")
        assert process.stdout is not None
        with process.stdout:
            out = process.stdout.read()
        code = process.wait(30)
        try:
            while more := os.read(ours, 1024):
                seen += more
        except OSError:  # the other end is closed
            pass
        os.close(ours)
        return code, out, seen

    code, out, seen = typed(b"hunter2", b"hunter2")
    assert (code, out.startswith(b"anna:$scrypt$")) == (0, True)
    assert b"hunter2" not in out + seen
    code, out, seen = typed(b"hunter2", b"hunter3")
    assert (code, out, b"not the same" in seen) == (1, b"", True)
    assert b"hunter" not in seen


def test_lan_prints_the_address_a_code_and_a_warning(indexed: Path) -> None:
    said = terminal(indexed, "--lan", until="--auth-file")
    address = re.search(r"for others on this network: (http://\S+:\d+)", said)
    assert address is not None
    assert qr_code(address[1]) in said
    assert "anyone who has that address can see these pictures" in said
    guarded = terminal(
        indexed, "--lan", "--auth", "me:secret", "--mcp", until="for language-model clients"
    )
    assert "anyone who has" not in guarded
    assert "secret" not in guarded


def test_without_a_terminal_there_is_no_code(indexed: Path) -> None:
    process = subprocess.Popen(
        [BIN / "image-search", "serve", "--port", "0", "--lan"],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "IMAGE_SEARCH_DATA_DIR": str(indexed)},
    )
    assert process.stderr is not None
    said = []
    with process.stderr:
        for line in process.stderr:
            said.append(line)
            if "--auth-file" in line:
                break
        process.terminate()
        process.wait(30)
    assert len(said) == 3
    assert "█" not in "".join(said)


def test_a_file_of_users_that_others_can_read_is_told(indexed: Path, tmp_path: Path) -> None:
    users = tmp_path / "users"
    users.write_text(password_line("anna", "red").stdout)
    users.chmod(0o644)
    said = terminal(indexed, "--auth-file", str(users), until="serving on")
    assert f"others on this machine can read {users}; run: chmod 600" in said


@pytest.fixture(scope="module")
def behind(indexed: Path, serve_all: Callable[..., str]) -> str:
    """The address of a server for proxies, without its root path."""
    return serve_all(indexed, "--root-path", "/pictures").removesuffix("/pictures")


@pytest.mark.parametrize("strip", [True, False], ids=["stripped", "kept"])
def test_everything_works_behind_a_reverse_proxy(behind: str, strip: bool) -> None:
    with (
        reverse_proxy(behind, "/pictures", strip=strip) as address,
        httpx.Client(timeout=120, follow_redirects=True) as client,
    ):
        page = client.get(f"{address}/")
        assert page.status_code == 200
        # Whatever the page names is below the root path, or relative to it.
        assets = re.findall(r'(?:src|href)="\./([^"]+)"', page.text)
        assert len(assets) >= 2
        for asset in (*assets, "theme.css", "static/js/iframeResizer.contentWindow.min.js"):
            assert client.get(f"{address}/{asset}").status_code == 200, asset
        for config in (json.loads(found(r"window.gradio_config = (\{.*?\});", page.text)),
                       client.get(f"{address}/config").json()):  # fmt: skip
            assert config["root"] == address
        search, body = f"{address}/api/search", {"q": "a lemon", "top_k": 4}
        headers = {"Origin": address.removesuffix("/pictures")}
        answer = client.post(search, json=body, headers=headers)
        assert answer.status_code == 200
        assert "media/" in answer.text
        evil = client.post(search, json=body, headers={"Origin": "http://evil.example"})
        assert evil.status_code == 403

        host = address.removesuffix("/pictures")
        hits = client.get(f"{address}/api/search?q=lemon&top_k=2").json()["hits"]
        for url in (hits[0]["thumbnail_url"], hits[1]["image_url"]):
            assert url.startswith("/pictures/media/")
            picture = client.get(host + url)
            assert (picture.status_code, picture.headers["content-type"][:6]) == (200, "image/")
        documentation = client.get(f"{address}/api/docs").text
        named = re.findall(r"""(?:src=|href=|url: )["']([^"']+)""", documentation)
        assert len(named) >= 4
        for url in named:
            assert url.startswith("/pictures/api/")
            assert client.get(host + url).status_code == 200
        described = client.get(f"{address}/api/openapi.json").json()
        assert described["servers"] == [{"url": "/pictures"}]
        assert client.get(f"{address}/healthz").json() == {"status": "ok"}


def found(pattern: str, text: str) -> str:
    match = re.search(pattern, text, re.DOTALL)
    assert match is not None, pattern
    return match[1]


def test_a_root_path_like_our_own_is_refused(indexed: Path) -> None:
    for path in ("/api", "/media/x", "/assets", "/sign-in"):
        line = first_line_of(indexed, "--root-path", path)
        assert f"--root-path {path} begins like this program's own addresses" in line


def test_visitors_are_counted_by_their_own_address(
    indexed: Path, serve: Callable[..., str]
) -> None:
    few = ("--server-requests-per-minute", "3")
    behind = serve(indexed, "--root-path", "/", *few)
    alone = serve(indexed, *few)

    def searches(address: str, count: int, **headers: str) -> list[int]:
        asked: dict[str, Any] = {"params": {"q": "lemon"}, "headers": headers, "timeout": 120}
        return [httpx.get(f"{address}/api/search", **asked).status_code for _ in range(count)]

    with reverse_proxy(behind, "/any", strip=True) as address:
        one, other = {"X-Test-Client": "203.0.113.1"}, {"X-Test-Client": "203.0.113.2"}
        assert searches(address, 4, **one) == [200, 200, 200, 429]
        assert searches(address, 1, **other) == [200]
        # What a visitor says of its own address does not help it.
        lying = {**one, "X-Forwarded-For": "203.0.113.77"}
        assert searches(address, 1, **lying) == [429]
        refused = httpx.get(f"{address}/api/search?q=a", headers=one)
        assert int(refused.headers["retry-after"]) >= 1
        assert "too many searches from your address" in refused.json()["error"]
        assert httpx.get(f"{address}/healthz", headers=one).status_code == 200
    # Without a proxy, nobody comes under another's address.
    given = [{"X-Forwarded-For": f"203.0.113.{n}"} for n in range(4)]
    assert [searches(alone, 1, **headers)[0] for headers in given] == [200, 200, 200, 429]


def test_more_at_once_than_may_wait_are_told_when_to_come_again(
    indexed: Path, serve: Callable[..., str]
) -> None:
    address = serve(indexed, "--server-max-concurrent", "1")
    assert httpx.get(f"{address}/api/search?q=lemon", timeout=120).status_code == 200

    def one(number: int) -> httpx.Response:
        return httpx.get(f"{address}/api/search?q=fruit+{number}", timeout=120)

    with ThreadPoolExecutor(40) as people:
        answers = list(people.map(one, range(120)))
    refused = [answer for answer in answers if answer.status_code != 200]
    assert 0 < len(refused) < len(answers)
    assert {answer.status_code for answer in refused} == {503}
    assert all("too many searches at once" in answer.json()["error"] for answer in refused)
    assert all(answer.headers["retry-after"] == "5" for answer in refused)
    assert one(0).status_code == 200


def test_other_sites_in_a_visitor_s_browser(indexed: Path, serve: Callable[..., str]) -> None:
    address = serve(indexed)
    own = address.removeprefix("http://")
    port = own.rpartition(":")[2]
    for host, status in ((own, 200), (f"localhost:{port}", 200), (f"evil.example:{port}", 403)):
        assert httpx.get(f"{address}/healthz", headers={"Host": host}).status_code == status
    for origin, status in (
        (None, 200),
        (address, 200),
        ("http://evil.example", 403),
        ("null", 403),
    ):
        headers = {"Origin": origin} if origin else {}
        answer = httpx.post(
            f"{address}/api/search", json={"q": "lemon"}, headers=headers, timeout=120
        )
        assert answer.status_code == status, origin
    read = ask(address, b"/config", "GET", "Origin: http://evil.example")
    assert read.status == 200
    assert b"access-control-allow-origin" not in read.head.lower()
