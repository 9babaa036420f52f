"""Checks user names and passwords for the guards: one check for a page, few guesses an address."""

import asyncio
import hashlib
import hmac
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from webapp.accounts import Accounts
from webapp.addresses import Allowances

# Browsers send the password with each of a page's pictures; checking a hash takes long on purpose.
REMEMBERED_S = 600.0
MOST_REMEMBERED = 4096
# Hashes that are checked at once, each with some 32 MiB, one of them for each address; and how many
# wait for that.
CHECKED_AT_ONCE = 2
MOST_WAITING, MOST_OF_AN_ADDRESS = 512, 64
BUSY_S = 5
# Different wrong passwords from one address: so many at once, then one in so many seconds.
GUESSES = 10
SECONDS_A_GUESS = 6.0
# Who goes on guessing all the same is no longer told of a right password either.
MOST_PRESSING = 100


@dataclass(frozen=True)
class Verdict:
    """What is answered to some credentials: 200 right, 401 wrong, 429 or 503 not looked at now."""

    status: int
    wait: int = 0
    """Seconds until they would be checked."""
    reason: str = ""


class PasswordChecks:
    """Says of ``user:password`` whether it is right, as seldom as it must be computed.

    What was found of some credentials is remembered for a while, by address, as an HMAC with a key
    of this process: a right password is checked once and not for every picture, and a program that
    repeats a wrong one is refused without guessing anything. Addresses that try many different
    passwords are slowed down, and no others: an address's are looked at one after the other, so
    that the tenth wrong one stops those behind it, and nobody waits for more than another's one.
    """

    def __init__(self, accounts: Accounts, clock: Callable[[], float] = time.monotonic) -> None:
        self._accounts = accounts
        self._clock = clock
        self._key = secrets.token_bytes(32)
        self._remembered: OrderedDict[bytes, tuple[bool, float]] = OrderedDict()
        self._checking: dict[bytes, asyncio.Task[Verdict]] = {}
        self._turns: dict[str, _Turn] = {}
        self._guesses = Allowances(GUESSES, 1 / SECONDS_A_GUESS, debt=MOST_PRESSING, clock=clock)
        self._threads = ThreadPoolExecutor(CHECKED_AT_ONCE, "passwords")

    async def judge(self, address: str, credentials: str) -> Verdict:
        """What ``user:password`` from an address is answered."""
        self._accounts.refresh()
        tag = self._tag(address, credentials)
        told = self._recall(tag)
        if told is True and self._guesses.level(address) > 1 - MOST_PRESSING:
            return Verdict(200)
        if told is False:
            return Verdict(401)
        # A page asks for its pictures all at once: they wait for one check.
        checking = self._checking.get(tag)
        if checking is None:
            turn = self._turns.get(address) or _Turn()
            if len(self._checking) >= MOST_WAITING or turn.wanted >= MOST_OF_AN_ADDRESS:
                return Verdict(503, BUSY_S, "too many passwords to check at once")
            turn.wanted += 1
            self._turns[address] = turn
            checking = asyncio.create_task(self._in_turn(turn, tag, address, credentials))
            self._checking[tag] = checking
        # Who leaves does not take the others' check along.
        return await asyncio.shield(checking)

    async def _in_turn(self, turn: "_Turn", tag: bytes, address: str, credentials: str) -> Verdict:
        try:
            async with turn.lock:
                if wait := self._guesses.wait(address):
                    self._guesses.take(address)
                    return Verdict(429, wait, "too many wrong passwords from this address")
                loop = asyncio.get_running_loop()
                admits = self._accounts.admits
                is_right = await loop.run_in_executor(self._threads, admits, credentials)
                self._note(tag, address, is_right)
                return Verdict(200 if is_right else 401)
        finally:
            del self._checking[tag]
            turn.wanted -= 1
            if not turn.wanted:
                del self._turns[address]

    def _note(self, tag: bytes, address: str, is_right: bool) -> None:
        if not is_right:
            self._guesses.take(address)
        self._remembered[tag] = (is_right, self._clock() + REMEMBERED_S)
        self._remembered.move_to_end(tag)
        if len(self._remembered) > MOST_REMEMBERED:
            self._remembered.popitem(last=False)

    def _recall(self, tag: bytes) -> bool | None:
        right, until = self._remembered.get(tag, (None, 0.0))
        return right if self._clock() < until else None

    def _tag(self, address: str, credentials: str) -> bytes:
        text = f"{self._accounts.version}\0{address}\0{credentials}"
        return hmac.digest(self._key, text.encode(), hashlib.sha256)


class _Turn:
    """The checks of one address, one after the other; ``wanted`` of them are not done."""

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.wanted = 0
