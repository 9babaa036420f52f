"""Turns at what few can do at a time, in the order of arrival; nobody takes all of them."""

import asyncio
from dataclasses import dataclass, field

# Of all places, and of all that wait for one, those that are kept for other addresses.
KEPT_SHARE = 4


@dataclass
class _Visitor:
    places: asyncio.Semaphore
    waiting: int = 0
    running: int = 0


@dataclass
class Turns:
    """``at_once`` places, and ``most_waiting`` that wait for one, for so long."""

    at_once: int
    most_waiting: int
    longest_wait_s: float
    waiting: int = 0
    _places: asyncio.Semaphore = field(init=False)
    _visitors: dict[str, _Visitor] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._places = asyncio.Semaphore(self.at_once)

    async def take(self, address: str) -> bool:
        """Wait for a place; whether there was one in time."""
        visitor = self._visitors.get(address)
        if visitor is None:
            visitor = self._visitors[address] = _Visitor(asyncio.Semaphore(_but_kept(self.at_once)))
        try:
            taken = self._may_wait(visitor) and await self._wait(visitor)
            visitor.running += taken
            return taken
        finally:
            self._forget(address)

    def give_back(self, address: str) -> None:
        """A place that was taken."""
        visitor = self._visitors[address]
        visitor.running -= 1
        visitor.places.release()
        self._places.release()
        self._forget(address)

    def _may_wait(self, visitor: _Visitor) -> bool:
        """Or need not."""
        if not (visitor.places.locked() or self._places.locked()):
            return True
        fewer = visitor.waiting < _but_kept(self.most_waiting)
        return fewer and self.waiting < self.most_waiting

    async def _wait(self, visitor: _Visitor) -> bool:
        visitor.waiting += 1
        self.waiting += 1
        try:
            async with asyncio.timeout(self.longest_wait_s):
                await visitor.places.acquire()
                try:
                    return await self._places.acquire()
                except BaseException:
                    visitor.places.release()
                    raise
        except TimeoutError:
            return False
        finally:
            visitor.waiting -= 1
            self.waiting -= 1

    def _forget(self, address: str) -> None:
        visitor = self._visitors[address]
        if not (visitor.waiting or visitor.running):
            del self._visitors[address]


def _but_kept(count: int) -> int:
    return count - count // KEPT_SHARE
