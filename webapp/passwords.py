"""Passwords as scrypt hashes, one ``user:$scrypt$ln=…,r=…,p=…$salt$hash`` a line (RFC 7914).

The format is passlib's and says how it was made, so that old lines stay good when the cost is
raised here.
"""

import base64
import binascii
import hashlib
import hmac
import re
import secrets
import unicodedata
from dataclasses import dataclass, replace

# OWASP's least for scrypt with 32 MiB: about a quarter of a second. 2**LOG_N blocks of 128 * R.
LOG_N, R, P = 15, 8, 3
SALT_BYTES, HASH_BYTES = 16, 32
# A slip in a file must not take the machine's memory.
MAX_MEMORY, MAX_P = 256 * 1024 * 1024, 16
LINE = re.compile(
    r"(?P<user>[^:]+):\$scrypt\$ln=(?P<ln>\d{1,2}),r=(?P<r>\d{1,3}),p=(?P<p>\d{1,2})"
    r"\$(?P<salt>[A-Za-z0-9+/]{8,})\$(?P<hash>[A-Za-z0-9+/]{22,})"
)


Parameters = tuple[int, int, int]


@dataclass(frozen=True, repr=False)
class PasswordHash:
    """What is kept of a password, with the parameters that made it."""

    log_n: int
    r: int
    p: int
    salt: bytes
    digest: bytes

    @property
    def parameters(self) -> Parameters:
        """Those of scrypt, which say how long checking takes."""
        return self.log_n, self.r, self.p

    def __str__(self) -> str:
        salt, digest = (
            base64.b64encode(part).decode().rstrip("=") for part in (self.salt, self.digest)
        )
        return f"$scrypt$ln={self.log_n},r={self.r},p={self.p}${salt}${digest}"

    def matches(self, password: str) -> bool:
        """Whether it is this password's; takes the same time either way."""
        return hmac.compare_digest(self._of(password), self.digest)

    def like_it(self) -> "PasswordHash":
        """A hash of no password that takes the same time to check."""
        return replace(self, digest=secrets.token_bytes(len(self.digest)))

    def _of(self, password: str) -> bytes:
        memory = 128 * self.r * ((1 << self.log_n) + self.p)
        return hashlib.scrypt(
            normal(password).encode(),
            salt=self.salt,
            n=1 << self.log_n,
            r=self.r,
            p=self.p,
            dklen=len(self.digest),
            maxmem=memory + 1024 * 1024,  # OpenSSL counts a little more than the algorithm needs
        )


def hashed(password: str) -> PasswordHash:
    """A new password's hash, with a salt of its own."""
    empty = PasswordHash(LOG_N, R, P, secrets.token_bytes(SALT_BYTES), bytes(HASH_BYTES))
    return replace(empty, digest=empty._of(password))


def is_user(name: str) -> bool:
    """Whether HTTP Basic and a line can hold this name: no colon, no control characters."""
    plain = all(unicodedata.category(letter)[0] != "C" for letter in name)
    return bool(name.strip()) and name == name.strip() and ":" not in name and plain


def read_line(line: str) -> tuple[str, PasswordHash]:
    """User and hash of one line. Raises ValueError with the reason, which shows no secret."""
    match = LINE.fullmatch(line)
    if match is None:
        raise ValueError("it is not user:$scrypt$… as image-search password prints it")
    user = normal(match["user"])
    if not is_user(user):
        raise ValueError("its user name begins or ends with a space, or has a control character")
    log_n, r, p = int(match["ln"]), int(match["r"]), int(match["p"])
    # log_n below 16 * r is scrypt's own bound; OpenSSL fails at what is beyond.
    if not (1 <= log_n < 16 * r and 1 <= p <= MAX_P) or 128 * r << log_n > MAX_MEMORY:
        raise ValueError("its numbers ln, r and p are out of range")
    try:
        salt, digest = (
            base64.b64decode(match[part] + "=" * (-len(match[part]) % 4), validate=True)
            for part in ("salt", "hash")
        )
    except binascii.Error as error:
        raise ValueError("its salt or hash is not valid base64") from error
    return user, PasswordHash(log_n, r, p, salt, digest)


def normal(text: str) -> str:
    """One way to write the same letters, however a keyboard made them (RFC 7613)."""
    return unicodedata.normalize("NFC", text)
