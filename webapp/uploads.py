"""Bodies of requests, read no further than they may be large."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass

from fastapi import Request
from python_multipart.multipart import parse_options_header
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from webapp.errors import BadQuery, TooLarge
from webapp.query import MAX_IMAGES
from webapp.query_body import QueryBody, query_body

JSON, FORM = "application/json", "multipart/form-data"


@dataclass(frozen=True)
class Upload:
    """A query and the pictures that came beside it."""

    body: QueryBody
    images: list[bytes]


async def read_query(request: Request, max_bytes: int) -> Upload:
    """A query as JSON, or a form with ``image`` files and JSON in the field ``query``.

    Raises BadQuery or TooLarge.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == FORM:
        return await _read_form(request, max_bytes)
    if kind in (JSON, ""):
        return Upload(query_body(await read_body(request, max_bytes)), [])
    raise BadQuery(f"a query is sent as {JSON} or {FORM}, not {kind}")


async def _read_form(request: Request, max_bytes: int) -> Upload:
    _, options = parse_options_header(request.headers["content-type"])
    # The parser decodes by whatever is named there, and some of Python's codecs take for ever.
    if (charset := options.get(b"charset", b"utf-8")).lower() != b"utf-8":
        raise BadQuery(f"a form is sent in utf-8, not {charset[:40]!r}")
    try:
        async with aclosing(_parts(request, max_bytes)) as parts:
            parser = MultiPartParser(
                request.headers,
                parts,
                max_files=MAX_IMAGES,
                max_fields=MAX_IMAGES,
                max_part_size=max_bytes,
            )
            # A larger one would be put into a file.
            parser.spool_max_size = max_bytes
            form = await parser.parse()
    except MultiPartException as error:
        raise BadQuery(f"the form cannot be read: {error.message}") from error
    images: list[bytes] = []
    body: QueryBody | None = None
    try:
        for name, value in form.multi_items():
            if name == "image" and isinstance(value, UploadFile):
                images.append(await value.read())
            elif name == "query" and isinstance(value, str):
                body = query_body(value.encode())
            else:
                raise BadQuery(f"{name}: a form holds files named image and a field named query")
    finally:
        await form.close()
    return Upload(body or QueryBody(), images)


async def read_body(request: Request, max_bytes: int) -> bytes:
    """The whole body. Raises TooLarge."""
    return b"".join([part async for part in _parts(request, max_bytes)])


async def _parts(request: Request, max_bytes: int) -> AsyncGenerator[bytes, None]:
    size = 0
    async for part in request.stream():
        size += len(part)
        if size > max_bytes:
            raise TooLarge(f"the request is larger than {max_bytes / 1e6:g} MB; send less")
        yield part
