"""The HTTP routes that index a folder: start, progress, stop, and what may be chosen."""

import contextlib
from collections.abc import AsyncIterator
from typing import Any

from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from webapp.errors import BadQuery
from webapp.indexing import Indexing, State
from webapp.query_body import first_reason
from webapp.uploads import JSON, read_body

# A path has 4,096 bytes at most; JSON may write each as six characters.
MAX_BODY = 30_000
REFUSED: dict[int | str, dict[str, Any]] = {
    400: {"description": "that is no folder"},
    403: {"description": "that folder, or any, may not be indexed from here"},
}


class FolderBody(BaseModel):
    """What is to be indexed."""

    model_config = ConfigDict(extra="forbid")

    folder: str = Field(
        description="absolute, or relative to a folder that the operator allows", min_length=1
    )


STARTED: dict[int | str, dict[str, Any]] = {
    **REFUSED,
    409: {"description": "another folder is being indexed"},
    503: {"description": "the store is away"},
}
POSTED = {
    "requestBody": {
        "required": True,
        "content": {JSON: {"schema": FolderBody.model_json_schema()}},
    }
}


def indexing_routes(indexing: Indexing) -> APIRouter:
    """``/api/index`` and what is below it. The server's end stops what runs."""

    @contextlib.asynccontextmanager
    async def lifespan(_: object) -> AsyncIterator[None]:
        yield
        await run_in_threadpool(indexing.close)

    router = APIRouter(prefix="/api/index", lifespan=lifespan)

    @router.post("", status_code=202, responses=STARTED, openapi_extra=POSTED)
    async def start(request: Request) -> dict[str, Any]:
        """Index a folder that the operator allows; ``GET`` tells how far it is."""
        folder = await _read_folder(request)
        return _state_json(await run_in_threadpool(indexing.start, folder))

    @router.get("")
    def progress() -> dict[str, Any]:
        """How far indexing is, or how it ended the last time."""
        return _state_json(indexing.state)

    @router.delete("", status_code=202)
    def stop() -> dict[str, Any]:
        """Stop indexing after what is at hand; what was done is kept."""
        return _state_json(indexing.stop())

    @router.get("/folders", responses=REFUSED)
    def folders(below: str = "") -> dict[str, Any]:
        """The folders that may be indexed, or those in one of them."""
        listing = indexing.allowed.listing(below)
        return {
            "below": str(listing.below) if listing.below else None,
            "folders": [{"name": name, "path": str(path)} for name, path in listing.folders],
            "more": listing.more,
        }

    return router


async def _read_folder(request: Request) -> str:
    # Of the kinds of content, only those that a page of another site may not send.
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != JSON:
        raise BadQuery(f"send the folder as {JSON}")
    try:
        return FolderBody.model_validate_json(await read_body(request, MAX_BODY)).folder
    except ValidationError as error:
        raise BadQuery(first_reason(error.errors())) from error


def _state_json(state: State) -> dict[str, Any]:
    return {
        "state": state.phase,
        "folder": state.folder,
        "done": state.done,
        "total": state.total,
        "report": dict(state.report) or None,
        "error": state.error,
        "note": state.note,
        "stopping": state.stopping,
    }
