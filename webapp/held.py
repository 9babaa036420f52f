"""How much of requests' bodies is in memory at once: of all visitors, and of each address."""

from webapp.addresses import Counts

# Words are searched for beside the largest flood of pictures: this much of each body is free, which
# is what the server reads ahead of any connection.
FREE_BYTES = 65_536


class HeldBytes:
    """At most ``most`` bytes are held, and ``each`` for one address."""

    def __init__(self, most: int, each: int) -> None:
        self.total = 0
        self._most = most
        self._each = each
        self._by_address = Counts()

    def take(self, address: str, count: int) -> bool:
        """Hold so many more; False where there is no room, and then none of them."""
        full = self.total + count > self._most or self._by_address[address] + count > self._each
        if count and full:
            return False
        self._add(address, count)
        return True

    def give_back(self, address: str, count: int) -> None:
        """They are gone."""
        self._add(address, -count)

    def _add(self, address: str, count: int) -> None:
        self.total += count
        self._by_address.change(address, count)


class HeldBody:
    """What has arrived of one request's body."""

    def __init__(self, held: HeldBytes, address: str) -> None:
        self.size = 0
        self._taken = 0
        self._held = held
        self._address = address

    def grow(self, count: int) -> bool:
        """So many bytes more have come; whether there is room for them."""
        self.size += count
        more = max(0, self.size - FREE_BYTES) - self._taken
        if not self._held.take(self._address, more):
            return False
        self._taken += more
        return True

    def give_back(self) -> None:
        """The request has ended."""
        self._held.give_back(self._address, self._taken)
        self._taken = 0
