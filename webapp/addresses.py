"""Allowances of visitors, by the address they come from."""

import ipaddress
import math
import time
from collections import Counter, OrderedDict
from collections.abc import Callable

from starlette.types import Scope

MOST_ADDRESSES = 10_000


def visitor(scope: Scope) -> str:
    """Whom a request counts for: an IPv4 address, or the network of an IPv6 one.

    A household gets 2**64 IPv6 addresses at once; each of them would have an allowance of its own.
    """
    client = scope.get("client")
    host = str(client[0]) if client else ""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return host[:253]
    if address.version == 4:
        return str(address)
    if address.ipv4_mapped:
        return str(address.ipv4_mapped)
    return str(ipaddress.ip_network((address, 64), strict=False))


class Counts(Counter[str]):
    """A number for each address, which is kept where it is not 0."""

    def change(self, address: str, by: int) -> None:
        """Add to it."""
        self[address] += by
        if not self[address]:
            del self[address]


class Allowances:
    """Token buckets: ``burst`` at once, ``per_second`` from then on, for each address.

    The level may go down to ``-debt`` where more are taken than are left. Of many addresses, those
    seen last are remembered.
    """

    def __init__(
        self,
        burst: float,
        per_second: float,
        *,
        debt: float = 0,
        most: int = MOST_ADDRESSES,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._burst = burst
        self._per_second = per_second
        self._debt = debt
        self._most = most
        self._clock = clock
        self._levels: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def wait(self, address: str) -> int:
        """0 where one is left, otherwise the seconds until then; takes none."""
        level = self.level(address)
        return 0 if level >= 1 else max(1, math.ceil((1 - level) / self._per_second))

    def take(self, address: str) -> None:
        """Take one, left or not."""
        self._levels[address] = (max(self.level(address) - 1, -self._debt), self._clock())
        self._levels.move_to_end(address)
        if len(self._levels) > self._most:
            self._levels.popitem(last=False)

    def level(self, address: str) -> float:
        """How many are left; below 0 where more were taken."""
        level, then = self._levels.get(address, (self._burst, self._clock()))
        return min(self._burst, level + (self._clock() - then) * self._per_second)
