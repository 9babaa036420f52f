"""How much one visitor may ask for, and how large it may be."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from webapp.addresses import Allowances, visitor
from webapp.bodies import LARGEST_HELD, LARGEST_HELD_EACH, BodyLimit
from webapp.limits import WAITING_EACH, SearchLimits
from webapp.open_requests import OpenRequests

MOST = 1000
GIVE_UP_S = 60.0


def visit(app: ASGIApp, address: str = "10.0.0.1") -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app, client=(address, 1))
    return httpx.AsyncClient(transport=transport, base_url="http://server")


class Slow:
    """An application that answers when it is let go; counts how many are in it."""

    def __init__(self) -> None:
        self.inside = self.most = 0
        self.go = asyncio.Event()
        self.entered = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.inside += 1
        self.most = max(self.most, self.inside)
        self.entered.set()
        await self.go.wait()
        self.inside -= 1
        await PlainTextResponse("found")(scope, receive, send)


def test_searches_wait_in_turn_and_too_many_are_told() -> None:
    async def scenario() -> None:
        slow = Slow()
        limits = SearchLimits(slow, at_once=2, per_minute=0)
        async with visit(limits) as client, visit(limits, "10.0.0.2") as other:
            taken = 2 + 2 * WAITING_EACH
            asked = [
                asyncio.create_task(visitor.get("/api/search?q=a"))
                for visitor in (client, other)
                for _ in range(taken // 2)
            ]
            await slow.entered.wait()
            while limits._turns.waiting < 2 * WAITING_EACH:
                await asyncio.sleep(0)
            refused = await client.get("/api/search?q=a")
            assert (refused.status_code, refused.headers["retry-after"]) == (503, "5")
            assert "too many searches at once" in refused.json()["error"]
            async with visit(limits, "10.0.0.3") as stranger:
                assert (await stranger.get("/api/search?q=a")).status_code == 503
            assert limits._turns._visitors.keys() == {"10.0.0.1", "10.0.0.2"}
            slow.go.set()
            assert [answer.status_code for answer in await asyncio.gather(*asked)] == [200] * taken
            assert (slow.most, slow.inside) == (2, 0)
            assert (await client.get("/api/search?q=a")).status_code == 200

    asyncio.run(scenario())


def test_one_address_leaves_places_to_others() -> None:
    async def scenario() -> None:
        slow = Slow()
        limits = SearchLimits(slow, at_once=8, per_minute=0)
        async with visit(limits) as many, visit(limits, "10.0.0.2") as one:
            asked = [asyncio.create_task(many.get("/api/search?q=a")) for _ in range(60)]
            await slow.entered.wait()
            while sum(search.done() for search in asked) < 60 - 6 - 24:
                await asyncio.sleep(0)
            assert {search.result().status_code for search in asked if search.done()} == {503}
            assert (slow.inside, limits._turns.waiting) == (6, 24)
            search = asyncio.create_task(one.get("/api/search?q=a"))
            while slow.inside < 7:
                await asyncio.sleep(0)
            slow.go.set()
            assert (await search).status_code == 200
            answers = [answer.status_code for answer in await asyncio.gather(*asked)]
            assert Counter(answers) == {200: 30, 503: 30}
        assert not limits._turns._visitors

    asyncio.run(scenario())


def test_who_has_left_is_not_searched_for() -> None:
    async def scenario() -> None:
        slow = Slow()
        limits = SearchLimits(slow, at_once=1, per_minute=0)
        left = asyncio.Event()

        async def receive() -> Message:
            if not left.is_set():
                left.set()
                return {"type": "http.request", "body": b"", "more_body": False}
            return {"type": "http.disconnect"}

        async def send(message: Message) -> None:
            raise AssertionError(message)

        async with visit(limits) as client:
            first = asyncio.create_task(client.get("/api/search?q=a"))
            await slow.entered.wait()
            slow.entered.clear()
            scope = {
                "type": "http",
                "method": "GET",
                "path": "/api/search",
                "client": ("10.0.0.2", 1),
            }
            second = asyncio.create_task(limits(scope, receive, send))
            while not limits._turns.waiting:
                await asyncio.sleep(0)
            slow.go.set()
            assert (await first).status_code == 200
            await second
            assert not slow.entered.is_set()

    asyncio.run(scenario())


def test_one_visitor_has_so_many_requests_open() -> None:
    async def scenario() -> None:
        slow = Slow()
        guarded = OpenRequests(slow, 5)
        async with visit(guarded) as many, visit(guarded, "10.0.0.2") as one:
            asked = [asyncio.create_task(many.get("/gradio_api/heartbeat/a")) for _ in range(5)]
            while slow.inside < 5:
                await asyncio.sleep(0)
            refused = await many.get("/")
            assert (refused.status_code, refused.headers["retry-after"]) == (503, "5")
            other = asyncio.create_task(one.get("/"))
            slow.go.set()
            for answer in await asyncio.gather(*asked, other):
                assert answer.status_code == 200
            assert (await many.get("/")).status_code == 200
        assert not guarded._open

    asyncio.run(scenario())


def test_nobody_waits_for_ever() -> None:
    async def scenario() -> None:
        slow = Slow()
        limits = SearchLimits(slow, at_once=1, per_minute=0, longest_wait_s=0.01)
        async with visit(limits) as client:
            first = asyncio.create_task(client.get("/api/search?q=a"))
            await slow.entered.wait()
            assert (await client.get("/api/search?q=a")).status_code == 503
            slow.go.set()
            assert (await first).status_code == 200

    asyncio.run(scenario())


def test_a_search_that_fails_gives_its_place_back() -> None:
    async def failing(scope: Scope, receive: Receive, send: Send) -> None:
        raise RuntimeError("broken")

    async def scenario() -> None:
        limits = SearchLimits(failing, at_once=1, per_minute=0, longest_wait_s=0.01)
        async with visit(limits) as client:
            for _ in range(3):
                with pytest.raises(RuntimeError, match="broken"):
                    await client.get("/api/search?q=a")

    asyncio.run(scenario())


def test_searches_a_minute_are_counted_by_address() -> None:
    async def scenario() -> None:
        limits = SearchLimits(PlainTextResponse("found"), at_once=9, per_minute=3)
        async with visit(limits) as one, visit(limits, "10.0.0.2") as other:
            searches = [("GET", "/api/search?q=a"), ("POST", "/api/search")]
            searches += [("POST", "/gradio_api/mcp/")]
            for method, path in searches:
                assert (await one.request(method, path)).status_code == 200
            for method, path in searches:
                refused = await one.request(method, path)
                assert (refused.status_code, refused.headers["retry-after"]) == (429, "20")
                assert "try again in 20 seconds" in refused.json()["error"]
            for path in ("/", "/media/1/thumbnail", "/assets/a.js", "/healthz", "/theme.css"):
                assert (await one.get(path)).status_code == 200
            assert (await other.get("/api/search?q=a")).status_code == 200

    asyncio.run(scenario())


def test_allowances_come_back_and_are_bounded() -> None:
    now = [0.0]
    some = Allowances(2, 1 / 6, debt=3, most=5, clock=lambda: now[0])
    for expected in (0, 0, 6, 12, 18, 24, 24):
        assert some.wait("a") == expected
        some.take("a")
    assert some.level("a") == -3
    now[0] += 24
    assert some.wait("a") == 0
    now[0] += 1e9
    assert some.level("a") == 2
    for n in range(100):
        some.take(f"{n}")
    assert len(some._levels) == 5
    assert (some.level("99"), some.level("1")) == (1, 2)


@pytest.mark.parametrize(
    ("client", "counted"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::1", "2001:db8:1:2::/64"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("fe80::1%eth0", "fe80::/64"),
        ("testclient", "testclient"),
    ],
)
def test_visitors_are_told_by_address_or_network(client: str, counted: str) -> None:
    assert visitor({"client": (client, 1)}) == counted
    assert visitor({"client": None}) == ""


async def reading(scope: Scope, receive: Receive, send: Send) -> None:
    body = await Request(scope, receive).body()
    await PlainTextResponse(f"{len(body)}")(scope, receive, send)


async def forgiving(scope: Scope, receive: Receive, send: Send) -> None:
    """As applications do: what goes wrong with a body is some error of theirs."""
    try:
        await reading(scope, receive, send)
    except Exception:
        await JSONResponse({"detail": "cannot be parsed"}, 400)(scope, receive, send)


async def ignoring(scope: Scope, receive: Receive, send: Send) -> None:
    await PlainTextResponse("not read")(scope, receive, send)


async def pieces(size: int) -> AsyncIterator[bytes]:
    for start in range(0, size, 100):
        yield b"x" * min(100, size - start)


@pytest.mark.parametrize("app", [reading, forgiving])
def test_large_bodies_are_413_with_and_without_a_length(app: ASGIApp) -> None:
    async def scenario() -> None:
        async with visit(BodyLimit(app, MOST)) as client:
            for content in (b"x" * (MOST + 1), pieces(MOST + 1), b"x" * 50 * MOST):
                answer = await client.post("/", content=content)
                assert answer.status_code == 413
                assert answer.json() == {"error": "the request is larger than 0.001 MB; send less"}
            for allowed in (b"x" * MOST, pieces(MOST)):
                answer = await client.post("/", content=allowed)
                assert (answer.status_code, answer.text) == (200, f"{MOST}")
            assert (await client.get("/")).text == "0"

    asyncio.run(scenario())


def test_a_large_body_that_nobody_reads_is_413_too() -> None:
    async def scenario() -> None:
        async with visit(BodyLimit(ignoring, MOST)) as client:
            assert (await client.post("/", content=b"x" * (MOST + 1))).status_code == 413
            assert (await client.post("/", content=b"x")).status_code == 200

    asyncio.run(scenario())


def test_an_application_s_own_errors_are_not_hidden() -> None:
    async def broken(scope: Scope, receive: Receive, send: Send) -> None:
        raise RuntimeError("broken")

    async def scenario() -> None:
        async with visit(BodyLimit(broken, MOST)) as client:
            with pytest.raises(RuntimeError, match="broken"):
                await client.post("/", content=b"x")

    asyncio.run(scenario())


def test_a_search_that_is_sent_slowly_takes_no_place_and_is_given_up() -> None:
    async def never() -> AsyncIterator[bytes]:
        yield b"{"
        await asyncio.Event().wait()

    async def scenario() -> None:
        limits = SearchLimits(PlainTextResponse("found"), at_once=1, per_minute=0)
        async with visit(BodyLimit(limits, MOST, sending_s=0.2)) as client:
            slow = [
                asyncio.create_task(client.post("/api/search", content=never())) for _ in range(20)
            ]
            await asyncio.sleep(0)
            assert (await client.get("/api/search?q=a")).status_code == 200
            for answer in await asyncio.gather(*slow):
                assert (answer.status_code, "within 0.2 seconds" in answer.text) == (408, True)

    asyncio.run(scenario())


def test_what_was_sent_reaches_the_application_whole() -> None:
    async def echo(scope: Scope, receive: Receive, send: Send) -> None:
        body = await Request(scope, receive).body()
        await PlainTextResponse(body)(scope, receive, send)

    async def parts() -> AsyncIterator[bytes]:
        for part in (b"one, ", b"two, ", b"three"):
            yield part

    async def scenario() -> None:
        async with visit(SearchLimits(echo, at_once=1, per_minute=0)) as client:
            answer = await client.post("/api/search", content=parts())
            assert answer.content == b"one, two, three"

    asyncio.run(scenario())


async def never_whole(size: int) -> AsyncIterator[bytes]:
    yield b"x" * size
    await asyncio.Event().wait()


def most_held(monkeypatch: pytest.MonkeyPatch, app: ASGIApp) -> BodyLimit:
    monkeypatch.setattr("webapp.held.FREE_BYTES", 100)
    return BodyLimit(app, MOST, sending_s=GIVE_UP_S)


def test_what_is_held_of_bodies_is_bounded_by_address_and_in_all(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What has arrived counts, and not the length that is promised."""
    limit = most_held(monkeypatch, reading)

    async def scenario() -> None:
        held = []
        async with contextlib.AsyncExitStack() as visitors:
            for number in range(LARGEST_HELD):
                client = await visitors.enter_async_context(visit(limit, f"10.0.0.{number}"))
                for _ in range(LARGEST_HELD_EACH):
                    held.append(asyncio.create_task(client.post("/", content=never_whole(MOST))))
                await arrived(limit)
                refused = await client.post("/", content=b"x" * MOST)
                assert (refused.status_code, refused.headers["retry-after"]) == (503, "5")
                assert "too much is being sent at once" in refused.json()["error"]
                # Words are few bytes.
                assert (await client.post("/", content=b"x" * 100)).status_code == 200
                if limit._held.total > MOST * (LARGEST_HELD - 1):
                    break
                other = await visitors.enter_async_context(visit(limit, "10.0.9.9"))
                assert (await other.post("/", content=b"x" * MOST)).status_code == 200
            assert number >= 2
            for task in held:
                task.cancel()
            await asyncio.gather(*held, return_exceptions=True)
            assert limit._held.total == 0
            assert limit._held._by_address == {}
            assert (await client.post("/", content=b"x" * MOST)).status_code == 200

    asyncio.run(scenario())


async def arrived(limit: BodyLimit) -> None:
    """Wait until nothing more comes."""
    before = -1
    while limit._held.total != before:
        before = limit._held.total
        for _ in range(20):
            await asyncio.sleep(0)


def test_what_was_held_is_given_back_however_a_request_ends(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def broken(scope: Scope, receive: Receive, send: Send) -> None:
        await reading(scope, receive, send)
        raise RuntimeError("broken")

    async def scenario(app: ASGIApp, statuses: list[int]) -> None:
        limit = most_held(monkeypatch, app)
        limit._sending_s = 0.01
        async with visit(limit) as client:
            for content in (b"x" * MOST, pieces(MOST + 1), never_whole(MOST)):
                with contextlib.suppress(RuntimeError):
                    assert (await client.post("/", content=content)).status_code == statuses.pop(0)
                assert limit._held.total == 0
        assert limit._held._by_address == {}

    asyncio.run(scenario(reading, [200, 413, 408]))
    asyncio.run(scenario(broken, [413, 408]))  # the first raises
