"""Who may come in: ``user:password`` of the settings, and a file of hashed passwords."""

import hashlib
import hmac
import os
import secrets
import stat
import threading
import time
from collections.abc import Callable
from pathlib import Path

from webapp.errors import BadAccounts
from webapp.passwords import Parameters, PasswordHash, hashed, normal, read_line

# A file is asked at most this often whether it changed.
LOOK_AGAIN_S = 1.0
MAX_FILE_BYTES = 1_000_000


class Accounts:
    """Checks user names and passwords; safe to call from several threads.

    ``credentials`` is ``user:password`` in plain text. The file is read anew when it changes; one
    that has become unreadable is told through ``say``, and what it held before stays in force.
    Raises BadAccounts where the file cannot be used at the start.
    """

    def __init__(
        self,
        credentials: str | None,
        file: Path | None = None,
        say: Callable[[str], None] = lambda line: None,
    ) -> None:
        self._key = secrets.token_bytes(32)
        self._plain = None if credentials is None else self._tag(credentials)
        self._plain_user = None if credentials is None else normal(credentials.partition(":")[0])
        self._file = file
        self._say = say
        self._lock = threading.Lock()
        self._users: dict[str, PasswordHash] = {}
        self._nobodies: dict[Parameters, PasswordHash] = {}
        self._stamp: tuple[int, ...] | None = None
        self._looked = 0.0
        self.version = 0
        """Goes up when the file changed: what was true before need not be any more."""
        if file is not None:
            self._stamp = _stamp(file)
            self._take(_read(file))
            self._warn_of_readers(file)

    def admits(self, credentials: str) -> bool:
        """Whether ``user:password`` is right. Takes as long for a user that is unknown: one check
        with each kind of hash in the file, whoever is asked for."""
        if self._plain is not None and hmac.compare_digest(self._tag(credentials), self._plain):
            return True
        user, _, password = credentials.partition(":")
        known = self._users.get(normal(user))
        admitted = False
        for parameters, nobody in self._nobodies.items():
            if known is not None and known.parameters == parameters:
                admitted = known.matches(password)
            else:
                nobody.matches(password)
        return admitted

    def entry(self, user: str) -> bytes | None:
        """What is known of a user, as a value that another password changes; None of a stranger."""
        name = normal(user)
        known = self._users.get(name)
        return None if known is None and name != self._plain_user else self._tag(str(known))

    def refresh(self) -> None:
        """Read the file again if it changed."""
        if self._file is None or time.monotonic() - self._looked < LOOK_AGAIN_S:
            return
        with self._lock:
            self._looked = time.monotonic()
            stamp = _stamp(self._file)
            if stamp == self._stamp:
                return
            self._stamp = stamp
            try:
                self._take(_read(self._file))
                self._say(f"{self._file} was read again")
            except BadAccounts as error:
                self._say(f"{error}; until then its users stay as they were")

    def _take(self, users: dict[str, PasswordHash]) -> None:
        self._nobodies = {one.parameters: one.like_it() for one in users.values()}
        self._users = users
        self.version += 1

    def _tag(self, credentials: str) -> bytes:
        return hmac.digest(self._key, normal(credentials).encode(), hashlib.sha256)

    def _warn_of_readers(self, file: Path) -> None:
        if os.name == "posix" and stat.S_IMODE(file.stat().st_mode) & 0o077:
            self._say(f"others on this machine can read {file}; run: chmod 600 {file}")


def _read(file: Path) -> dict[str, PasswordHash]:
    try:
        with file.open("rb") as opened:
            text = opened.read(MAX_FILE_BYTES + 1).decode("utf-8-sig")
    except OSError as error:
        raise BadAccounts(f"file of users {file}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise BadAccounts(f"file of users {file} is not text in UTF-8") from error
    if len(text) > MAX_FILE_BYTES:
        raise BadAccounts(f"file of users {file} is larger than {MAX_FILE_BYTES:,} bytes")
    users: dict[str, PasswordHash] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        try:
            user, password = read_line(line.rstrip())
            if user in users:
                raise ValueError(f"the user {user} is there twice")
        except ValueError as error:
            raise BadAccounts(f"file of users {file}, line {number}: {error}") from error
        users[user] = password
    if not users:
        raise BadAccounts(f"file of users {file} names nobody; image-search password prints lines")
    return users


def _stamp(file: Path) -> tuple[int, ...] | None:
    try:
        status = file.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino


def account_line(user: str, password: str) -> str:
    """The line for the file."""
    return f"{normal(user)}:{hashed(password)}"
