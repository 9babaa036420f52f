"""Open connections, bounded, so that nobody's idle ones stand in the way of others' requests."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, cast

from uvicorn.protocols.http.h11_impl import H11Protocol

from webapp.addresses import Counts, visitor

# A connection without a whole request's head is closed after so long, and one that takes nothing of
# its answer.
HEAD_S = 10.0
STALLED_S = 60.0
REASON = b'{"error": "too many connections at once; try again in a few seconds"}'
REFUSAL = (
    b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 5\r\nconnection: close\r\n"
    b"content-type: application/json\r\ncontent-length: %d\r\n\r\n%s" % (len(REASON), REASON)
)


class Connections:
    """Those that are open, by address; the one that has been idle for longest comes first.

    Where there are too many, that one makes place. Addresses of proxies stand for many
    visitors, and are bounded only together with all others.
    """

    def __init__(self, most: int, each: int, is_proxy: Callable[[str], bool]) -> None:
        """``most`` in all, and ``each`` of one address."""
        self._most = most
        self._each = each
        self._is_proxy = is_proxy
        self._open: OrderedDict[BoundedProtocol, str] = OrderedDict()
        self._by_address = Counts()

    def admit(self, connection: "BoundedProtocol") -> bool:
        """Count a new connection; False where there is no place for it."""
        peer = connection.client[0] if connection.client else ""
        address = visitor({"client": connection.client})
        place = True
        if self._by_address[address] >= self._each and not self._is_proxy(peer):
            place = self._make_place(address)
        elif len(self._open) >= self._most:
            place = self._make_place(None)
        self._open[connection] = address
        self._by_address.change(address, 1)
        return place

    def idle_since_now(self, connection: "BoundedProtocol") -> None:
        """It goes behind all others."""
        if connection in self._open:
            self._open.move_to_end(connection)

    def lost(self, connection: "BoundedProtocol") -> None:
        """It is closed."""
        address = self._open.pop(connection, None)
        if address is not None:
            self._by_address.change(address, -1)

    def _make_place(self, address: str | None) -> bool:
        for connection, its_address in self._open.items():
            if address in (None, its_address) and connection.may_go():
                connection.transport.close()
                return True
        return False


class BoundedProtocol(H11Protocol):
    """uvicorn's connection, which tells ``connections`` of itself and does not wait for ever."""

    def __init__(self, connections: Connections, **given: Any) -> None:
        super().__init__(**given)
        self._bounds = connections
        self._waiting: asyncio.TimerHandle | None = None
        self._stalled: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(cast(asyncio.Transport, transport))
        if self._bounds.admit(self):
            self._watch()
        else:
            self.transport.write(REFUSAL)
            self.transport.close()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._watch()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        self._bounds.lost(self)
        for timer in (self._waiting, self._stalled):
            if timer:
                timer.cancel()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._stalled = self.loop.call_later(STALLED_S, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._stalled:
            self._stalled.cancel()

    def may_go(self) -> bool:
        """Whether nothing is lost with it."""
        idle = self._is_idle() and not self.transport.get_write_buffer_size()
        return idle and not self.transport.is_closing()

    def _is_idle(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def _watch(self) -> None:
        if not self._is_idle():
            if self._waiting:
                self._waiting.cancel()
                self._waiting = None
        elif self._waiting is None:
            self._bounds.idle_since_now(self)
            self._waiting = self.loop.call_later(HEAD_S, self._give_up)

    def _give_up(self) -> None:
        # What is still to be sent is sent, to whoever takes it.
        self.transport.close()
        self._waiting = self.loop.call_later(STALLED_S, self.transport.abort)
