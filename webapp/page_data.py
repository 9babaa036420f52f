"""What the page fetches beside the API: its own files, and what it must know to start."""

import hashlib
import mimetypes
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from milvus.errors import StoreError
from webapp.answers import error_json
from webapp.search import SearchService
from webapp.signing_in import USER

HERE = Path(__file__).parent
# Every file that the page may ask for is in one of these folders; no other name is looked up.
FOLDERS = (HERE / "assets", HERE / "i18n")
MANIFEST = "app.webmanifest"
# The browser keeps them, and asks whether they changed: after an upgrade nothing old is mixed in.
CACHE = "no-cache"
mimetypes.add_type("application/manifest+json", ".webmanifest")
mimetypes.add_type("text/javascript", ".js")


@dataclass(frozen=True)
class PageLimits:
    """What the page tells a visitor before the server would refuse it."""

    top_k: int
    max_query_chars: int
    max_upload_bytes: int


@dataclass(frozen=True)
class Asset:
    """One file of the page."""

    content: bytes
    media_type: str
    tag: str
    """HTTP's entity tag: changes with the content."""


def page_assets() -> dict[str, Asset]:
    """The page's files by name."""
    return {
        path.name: _asset(path)
        for folder in FOLDERS
        for path in sorted(folder.iterdir())
        if path.is_file()
    }


def _asset(path: Path) -> Asset:
    content = path.read_bytes()
    kind, _ = mimetypes.guess_type(path.name)
    tag = hashlib.blake2b(content, digest_size=12).hexdigest()
    return Asset(content, kind or "application/octet-stream", f'"{tag}"')


def page_routes(service: SearchService, limits: PageLimits) -> APIRouter:
    """The routes of the page itself; the API's description leaves them out."""
    router = APIRouter(include_in_schema=False)
    assets = page_assets()

    def answer(request: Request, name: str) -> Response:
        asset = assets.get(name)
        if asset is None:
            return JSONResponse({"error": "there is no such file"}, 404)
        headers = {"Cache-Control": CACHE, "ETag": asset.tag, "X-Content-Type-Options": "nosniff"}
        if request.headers.get("if-none-match") == asset.tag:
            return Response(status_code=304, headers=headers)
        return Response(asset.content, media_type=asset.media_type, headers=headers)

    @router.get("/page/start")
    def start(request: Request) -> dict[str, Any]:
        """What the page shows before the first search."""
        known: dict[str, Any] = {
            "model": str(service.loading),
            "top_k": limits.top_k,
            "max_query_chars": limits.max_query_chars,
            "max_upload_bytes": limits.max_upload_bytes,
            "images": 0,
            "problem": None,
            "user": request.scope.get(USER),
        }
        try:
            known["images"] = service.count()
        except StoreError as error:
            known["problem"] = error_json(error)
        return known

    @router.get("/page/files/{name}")
    def file(request: Request, name: str) -> Response:
        """A file of the page."""
        return answer(request, name)

    @router.get("/manifest.json")
    def manifest(request: Request) -> Response:
        """What lets a browser install the page as an app; Gradio's page asks for it here."""
        return answer(request, MANIFEST)

    return router
