"""Who is signed in: sessions that end when they are not used, in any case after a while, at
sign-out, with the server, and when the user's entry in the file of users changes."""

import hashlib
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass

from webapp.accounts import Accounts

TOKEN_BYTES = 32
# Everybody of a household may sign in by one name; beyond that the one not used longest ends.
MOST_OF_A_USER = 200


@dataclass
class _Session:
    user: str
    entry: bytes
    began: float
    used: float


class Sessions:
    """Tokens of 256 random bits, of which hashes alone are kept, in memory.

    ``idle_s`` and ``longest_s`` are seconds, since the last use and since the beginning.
    """

    def __init__(
        self,
        accounts: Accounts,
        *,
        idle_s: float,
        longest_s: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._accounts = accounts
        self._idle_s = idle_s
        self._longest_s = longest_s
        self._clock = clock
        self._sessions: dict[bytes, _Session] = {}

    def begin(self, user: str, entry: bytes) -> str:
        """A new session's token; ``entry`` is the user's in the accounts, from before the check."""
        self._sessions = {key: one for key, one in self._sessions.items() if self._lasts(one)}
        own = [key for key, one in self._sessions.items() if one.user == user]
        if len(own) >= MOST_OF_A_USER:
            del self._sessions[min(own, key=lambda key: self._sessions[key].used)]
        token = secrets.token_urlsafe(TOKEN_BYTES)
        now = self._clock()
        self._sessions[_key(token)] = _Session(user, entry, now, now)
        return token

    def user_of(self, token: str) -> str | None:
        """Whose session it is, which counts as a use of it; None where there is none any more."""
        self._accounts.refresh()
        session = self._sessions.get(_key(token))
        if session is None:
            return None
        if not self._lasts(session):
            self.end(token)
            return None
        session.used = self._clock()
        return session.user

    def end(self, token: str) -> None:
        """End a session, if there is one."""
        self._sessions.pop(_key(token), None)

    def _lasts(self, session: _Session) -> bool:
        now = self._clock()
        in_time = now - session.used < self._idle_s and now - session.began < self._longest_s
        return in_time and self._accounts.entry(session.user) == session.entry


def _key(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
