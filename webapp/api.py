"""The HTTP routes beside the page: search, stats, health, pictures. Errors are JSON."""

from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import FastAPI, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse

from embeddings.errors import EncoderError
from milvus.errors import CollectionMissing, StoreError
from webapp import query
from webapp.errors import BadQuery, ImageGone
from webapp.media import Thumbnails, original
from webapp.presenters import result_json, stats_json
from webapp.search import SearchService

# The name of a thumbnail's content never changes; an original may be indexed anew.
THUMBNAIL_CACHE = "private, max-age=86400"
IMAGE_CACHE = "private, no-cache"
# Pictures are given out as what they are; a browser must not guess that one is a page.
SAFE_HEADERS = {"X-Content-Type-Options": "nosniff", "Content-Security-Policy": "sandbox"}


def build_api(
    service: SearchService,
    thumbnails: Thumbnails,
    *,
    index_type: str,
    metric_type: str,
    default_top_k: int,
    max_query_chars: int,
) -> FastAPI:
    """The application with all routes but the page's."""
    # FastAPI's own documentation pages load their script from another host.
    app = FastAPI(
        title="text-image-search", openapi_url="/api/openapi.json", docs_url=None, redoc_url=None
    )
    _answer_errors_as_json(app)

    @app.get("/healthz")
    def healthz() -> dict[str, str]:
        """Whether the server answers at all."""
        return {"status": "ok"}

    @app.get("/api/search")
    def search(
        request: Request,
        q: Annotated[str, Query(description="words to search for")] = "",
        top_k: Annotated[int, Query(description="number of results")] = default_top_k,
        category: Annotated[Sequence[str], Query(description="only these categories")] = (),
    ) -> dict[str, Any]:
        """The pictures that match some words best."""
        asked = query.Query(q, top_k, tuple(category), max_query_chars)
        base = request.scope.get("root_path", "") + "/"
        return result_json(service.search(asked), base)

    @app.get("/api/stats")
    def stats() -> dict[str, Any]:
        """What is indexed."""
        return stats_json(service.stats(), index_type, metric_type)

    @app.get("/media/{image_id}/thumbnail")
    def thumbnail(image_id: int) -> FileResponse:
        """A small WebP of an indexed picture."""
        path = thumbnails.path(service.image(image_id))
        headers = {**SAFE_HEADERS, "Cache-Control": THUMBNAIL_CACHE}
        return FileResponse(path, media_type="image/webp", headers=headers)

    @app.get("/media/{image_id}/image")
    def image(image_id: int) -> FileResponse:
        """The original file of an indexed picture."""
        path = original(service.image(image_id))
        headers = {**SAFE_HEADERS, "Cache-Control": IMAGE_CACHE}
        return FileResponse(
            path, headers=headers, filename=path.name, content_disposition_type="inline"
        )

    return app


def _answer_errors_as_json(app: FastAPI) -> None:
    statuses: dict[type[Exception], int] = {
        BadQuery: 400,
        ImageGone: 404,
        CollectionMissing: 503,
        StoreError: 503,
        EncoderError: 503,
    }

    def answer(request: Request, error: Exception) -> JSONResponse:
        status = next(code for kind, code in statuses.items() if isinstance(error, kind))
        return JSONResponse({"error": str(error)}, status)

    for kind in statuses:
        app.add_exception_handler(kind, answer)

    def invalid(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, RequestValidationError)
        first = error.errors()[0]
        name = first["loc"][-1]
        return JSONResponse({"error": f"{name}: {first['msg']}"}, 400)

    app.add_exception_handler(RequestValidationError, invalid)
