"""The HTTP routes beside the page: search, stats, health, pictures. Errors are JSON."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

from fastapi import FastAPI, Query, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.requests import ClientDisconnect

from webapp import query
from webapp.answers import ANSWERS, error_json, status_of
from webapp.description import describe
from webapp.documentation import add_documentation
from webapp.errors import BadQuery
from webapp.indexing import Indexing
from webapp.indexing_api import indexing_routes
from webapp.library_api import library_routes
from webapp.media import Thumbnails
from webapp.opened import OpenedFile
from webapp.originals import open_original
from webapp.page_data import PageLimits, page_routes
from webapp.presenters import picture_json, result_json, stats_json, thumbnail_version
from webapp.query_body import SearchParameters, first_reason, schema_of_queries
from webapp.search import SearchService, hit_of
from webapp.uploads import FORM, JSON, read_query

# The address that a result gives names the content, so that it may be kept; not for ever, since
# nothing is shown of a picture that is gone. Any other is to be asked about each time.
THUMBNAIL_CACHE = "private, max-age=86400"
ASK_AGAIN = "private, no-cache"
# Pictures are given out as what they are; a browser must not guess that one is a page.
SAFE_HEADERS = {"X-Content-Type-Options": "nosniff", "Content-Security-Policy": "sandbox"}

PROBLEMS: dict[int | str, dict[str, Any]] = {
    400: {"description": "the query cannot be answered as it is"},
    404: {"description": "a picture that the query names is not there"},
    413: {"description": "the request is too large"},
    503: {"description": "the store or the model is away"},
}
AWAY: dict[int | str, dict[str, Any]] = {
    503: {"description": "nothing is indexed, or the store is away"}
}


def media(kind: str) -> dict[int | str, dict[str, Any]]:
    """What is answered where a picture is asked for."""
    return {
        200: {"description": "the picture", "content": {kind: {}}},
        404: {"description": "there is no such picture, or it changed since it was indexed"},
        **AWAY,
    }


POSTED = {
    "requestBody": {
        "required": True,
        "content": {
            JSON: {"schema": schema_of_queries()},
            FORM: {
                "schema": {
                    "type": "object",
                    "properties": {
                        "image": {
                            "type": "array",
                            "items": {"type": "string", "format": "binary"},
                        },
                        "query": {"type": "string", "description": "the rest of it, as JSON"},
                    },
                }
            },
        },
    }
}


def build_api(
    service: SearchService,
    thumbnails: Thumbnails,
    indexing: Indexing,
    *,
    index_type: Callable[[], str],
    metric_type: str,
    default_top_k: int,
    max_query_chars: int,
    max_upload_bytes: int,
) -> FastAPI:
    """The application with all routes but the page's."""
    # FastAPI's own documentation pages load their script from another host.
    app = FastAPI(
        title="text-image-search",
        openapi_url="/api/openapi.json",
        docs_url=None,
        redoc_url=None,
        swagger_ui_oauth2_redirect_url=None,
    )
    add_documentation(app)
    describe(app)
    _answer_errors_as_json(app)
    limits = PageLimits(default_top_k, max_query_chars, max_upload_bytes)
    app.include_router(page_routes(service, limits))

    @app.get("/healthz")
    def healthz() -> dict[str, str]:
        """Whether the server answers at all."""
        return {"status": "ok"}

    def answer(request: Request, asked: query.Query) -> dict[str, Any]:
        base = request.scope.get("root_path", "") + "/"
        return result_json(service.search(asked), base)

    @app.get("/api/search", responses=PROBLEMS)
    def search(request: Request, asked: Annotated[SearchParameters, Query()]) -> dict[str, Any]:
        """The pictures that match best: some words, and what else is given."""
        return answer(request, asked.body().query(default_top_k, max_query_chars))

    @app.post("/api/search", responses=PROBLEMS, openapi_extra=POSTED)
    async def search_posted(request: Request) -> dict[str, Any]:
        """The same for a query as JSON, or for a form with pictures in it."""
        upload = await read_query(request, max_upload_bytes)
        asked = upload.body.query(default_top_k, max_query_chars, upload.images)
        return await run_in_threadpool(answer, request, asked)

    @app.get("/api/stats", responses=AWAY)
    def stats() -> dict[str, Any]:
        """What is indexed."""
        return stats_json(service.stats(), index_type(), metric_type)

    app.include_router(library_routes(service.library, indexing.allowed, index_type, metric_type))
    app.include_router(indexing_routes(indexing))

    @app.get("/api/images/{image_id}", responses=PROBLEMS)
    def picture(request: Request, image_id: int) -> dict[str, Any]:
        """What is known of an indexed picture."""
        base = request.scope.get("root_path", "") + "/"
        return picture_json(hit_of(service.image(image_id)), base)

    @app.get(
        "/media/{image_id}/thumbnail",
        response_class=Response,
        responses={**media("image/webp"), 304: {"description": "it is as it was"}},
    )
    async def thumbnail(image_id: int, request: Request, v: str = "") -> Response:
        """A small WebP of an indexed picture; ``v`` is its version, as ``thumbnail_url`` has it."""
        row = await run_in_threadpool(service.image, image_id)
        content = await thumbnails.webp(row)
        version = thumbnail_version(row.content_hash)
        headers = {
            **SAFE_HEADERS,
            "Cache-Control": THUMBNAIL_CACHE if version and v == version else ASK_AGAIN,
            "ETag": f'"{version}"',
        }
        if headers["ETag"] in request.headers.get("If-None-Match", ""):
            return Response(status_code=304, headers=headers)
        return Response(content, media_type="image/webp", headers=headers)

    @app.get("/media/{image_id}/image", response_class=Response, responses=media("image/*"))
    def image(image_id: int) -> OpenedFile:
        """The original file of an indexed picture."""
        row = service.image(image_id)
        headers = {**SAFE_HEADERS, "Cache-Control": ASK_AGAIN}
        return OpenedFile(open_original(row), Path(row.path), headers)

    return app


def _answer_errors_as_json(app: FastAPI) -> None:
    def answer(request: Request, error: Exception) -> JSONResponse:
        return JSONResponse(error_json(error), status_of(error))

    for kind in ANSWERS:
        app.add_exception_handler(kind, answer)

    def invalid(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, RequestValidationError)
        return answer(request, BadQuery(first_reason(error.errors())))

    app.add_exception_handler(RequestValidationError, invalid)

    def left(request: Request, error: Exception) -> JSONResponse:
        return answer(request, BadQuery("the request ended early"))

    app.add_exception_handler(ClientDisconnect, left)
