"""What the sign-in form sends: read within bounds, and where it may lead afterwards."""

import asyncio
import re
from dataclasses import dataclass
from urllib.parse import parse_qsl

from starlette.datastructures import Headers
from starlette.types import Receive, Scope

from webapp.proxy import own_path

SIGN_IN, SIGN_OUT = "/sign-in", "/sign-out"
FORM = "application/x-www-form-urlencoded"
MAX_BYTES = 16_384
MAX_FIELDS = 8
MAX_CREDENTIALS = 3072  # characters; what HTTP Basic takes
MAX_WANTED = 4096
FORM_S = 10.0
# A path of this server: a browser takes // and /\ for another host, and leaves out tabs and lines.
OWN_PATH = re.compile(r"/(?!/)[!-\[\]-~]*")


class BadForm(Exception):
    """The form cannot be read; ``status`` is HTTP's."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


@dataclass(frozen=True, repr=False)
class SignInForm:
    """What somebody filled in. Shown to nobody: it holds the password."""

    user: str
    password: str
    wanted: str
    """The path, below the root path, that the visitor came for."""

    @property
    def credentials(self) -> str:
        """``user:password`` as HTTP Basic has them."""
        return f"{self.user}:{self.password}"


async def read_form(headers: Headers, receive: Receive) -> SignInForm:
    """Raises BadForm."""
    if headers.get("content-type", "").partition(";")[0].strip().lower() != FORM:
        raise BadForm(415, f"the form must be sent as {FORM}")
    try:
        async with asyncio.timeout(FORM_S):
            body = await _body(receive)
    except TimeoutError as error:
        raise BadForm(408, "the form did not arrive in time") from error
    try:
        pairs = parse_qsl(
            body.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=MAX_FIELDS
        )
    except ValueError:
        # The reason would quote what was sent.
        raise BadForm(400, "that is no form of the sign-in page") from None
    fields = dict(pairs)
    form = SignInForm(
        fields.get("user", ""), fields.get("password", ""), own_target(fields.get("next", "/"))
    )
    if len(form.credentials) > MAX_CREDENTIALS:
        raise BadForm(413, "user name and password are too long")
    return form


async def _body(receive: Receive) -> bytes:
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise BadForm(400, "the visitor left")
        body += message.get("body", b"")
        if len(body) > MAX_BYTES:
            raise BadForm(413, "the form is too large")
        if not message.get("more_body"):
            return bytes(body)


def wanted_of(scope: Scope) -> str:
    """What a request asks for, below the root path, as a form may hand it on."""
    path = scope.get("raw_path", b"").decode("latin1").removeprefix(scope.get("root_path", ""))
    query = scope.get("query_string", b"").decode("latin1")
    if own_path(scope) in (SIGN_IN, SIGN_OUT):
        return "/"
    return own_target(f"{path}?{query}" if query else path)


def own_target(wanted: str) -> str:
    """The path if it is one of this server; else the page's own."""
    fits = len(wanted) <= MAX_WANTED and OWN_PATH.fullmatch(wanted)
    return wanted if fits else "/"
