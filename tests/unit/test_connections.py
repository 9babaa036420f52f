"""Who makes place where too many connections are open."""

from dataclasses import dataclass, field
from typing import cast

import pytest

from webapp.connections import BoundedProtocol, Connections
from webapp.http_server import WANTED_FILES, open_files
from webapp.proxy import known_proxies


@dataclass(eq=False)
class Connection:
    """Idle until it is given something to do; its transport is itself."""

    client: tuple[str, int]
    busy: bool = False
    closed: bool = False
    transport: "Connection" = field(init=False)

    def __post_init__(self) -> None:
        self.transport = self

    def close(self) -> None:
        self.closed = True

    def may_go(self) -> bool:
        return not (self.busy or self.closed)


class Open:
    """Connections of a server."""

    def __init__(self, most: int, each: int, proxies: str = "") -> None:
        self.bounds = Connections(most, each, known_proxies(proxies))

    def connect(self, host: str, *, busy: bool = False) -> tuple[Connection, bool]:
        made = Connection((host, 1), busy)
        return made, self.bounds.admit(cast(BoundedProtocol, made))

    def connected(self, host: str, count: int, *, busy: bool = False) -> list[Connection]:
        made = [self.connect(host, busy=busy) for _ in range(count)]
        assert all(place for _, place in made)
        return [connection for connection, _ in made]

    def lost(self, connection: Connection) -> None:
        self.bounds.lost(cast(BoundedProtocol, connection))


def test_the_longest_idle_one_of_an_address_makes_place() -> None:
    server = Open(10, 3)
    other = server.connected("10.0.0.9", 1)[0]
    first, second, third = server.connected("10.0.0.1", 3)
    server.bounds.idle_since_now(cast(BoundedProtocol, first))
    server.connected("10.0.0.1", 1)
    assert [c.closed for c in (first, second, third, other)] == [False, True, False, False]


def test_busy_ones_make_no_place() -> None:
    server = Open(10, 3)
    busy = server.connected("10.0.0.1", 3, busy=True)
    refused, place = server.connect("10.0.0.1")
    assert not place
    server.lost(refused)
    assert server.connect("10.0.0.2")[1]
    server.lost(busy[0])
    assert server.connect("10.0.0.1")[1]
    assert not any(connection.closed for connection in busy)


def test_a_proxy_stands_for_many_but_not_for_all() -> None:
    server = Open(10, 3, "10.0.0.0/24")
    passed_on = server.connected("10.0.0.1", 10, busy=True)
    assert not server.connect("10.0.1.1")[1]
    passed_on[4].busy = False
    assert server.connect("10.0.1.1")[1]
    assert passed_on[4].closed
    assert not Open(10, 3).connect("10.0.0.1")[0].closed


def test_nothing_is_kept_of_closed_connections() -> None:
    server = Open(10, 3)
    for _ in range(3):
        for connection in server.connected("10.0.0.1", 3):
            server.lost(connection)
            server.lost(connection)
    assert (len(server.bounds._open), len(server.bounds._by_address)) == (0, 0)


def test_networks_of_ipv6_count_as_one_address() -> None:
    server = Open(10, 1)
    assert server.connect("2001:db8::1", busy=True)[1]
    assert not server.connect("2001:db8::2")[1]
    assert server.connect("2001:db8:0:1::1")[1]


def test_open_files_are_asked_for_up_to_the_hard_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    resource = pytest.importorskip("resource")
    limits = [(256, 512), (256, resource.RLIM_INFINITY), (100_000, 100_000)]
    asked: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "setrlimit", lambda kind, pair: asked.append(pair))
    for pair, expected in zip(limits, (512, WANTED_FILES, WANTED_FILES), strict=True):
        monkeypatch.setattr(resource, "getrlimit", lambda kind, pair=pair: pair)
        assert open_files() == expected
    assert asked == [(512, 512), (WANTED_FILES, resource.RLIM_INFINITY)]

    def refuse(kind: int, pair: tuple[int, int]) -> None:
        raise ValueError("not allowed")

    monkeypatch.setattr(resource, "setrlimit", refuse)
    monkeypatch.setattr(resource, "getrlimit", lambda kind: (256, 512))
    assert open_files() == 256
