"""The HTTP routes that show what is indexed."""

import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.concurrency import run_in_threadpool

from milvus.entities import ImageRow
from milvus.runs import LastRun
from webapp.allowed_folders import AllowedFolders
from webapp.library import MAX_MONTAGE, Library
from webapp.library_facts import MOVE_TO_SERVER
from webapp.presenters import moment, thumbnail_url

AWAY: dict[int | str, dict[str, Any]] = {
    503: {"description": "nothing is indexed, or the store is away"}
}
NO_CATEGORY: dict[int | str, dict[str, Any]] = {
    **AWAY,
    404: {"description": "no picture has that category"},
}


def library_routes(
    library: Library, allowed: AllowedFolders, index_type: Callable[[], str], metric_type: str
) -> APIRouter:
    """``/api/library`` and what is below it."""

    @contextlib.asynccontextmanager
    async def lifespan(_: object) -> AsyncIterator[None]:
        yield
        await run_in_threadpool(library.facts.close)

    router = APIRouter(prefix="/api/library", lifespan=lifespan)

    # Plain functions: FastAPI runs them in threads, and what they make is made once for all.
    @router.get("", responses=AWAY)
    def facts() -> dict[str, Any]:
        """What is indexed: counts, sizes, dates, model, index, last runs."""
        found, stale = library.facts.recent()
        runs = library.last_runs()
        names = sorted({*found.libraries, *runs})
        categories = sorted(found.categories.items(), key=lambda item: (-item[1], item[0]))
        return {
            "images": found.images,
            "bytes": found.bytes,
            "oldest": _moment(found.oldest_ns),
            "newest": _moment(found.newest_ns),
            "categories": [{"name": name, "count": count} for name, count in categories],
            "libraries": [
                {
                    "path": name,
                    "count": found.libraries.get(name, 0),
                    "last_run": _run_json(runs.get(name)),
                }
                for name in names
            ],
            "model": {
                "id": found.model.model_id,
                "name": found.model.name,
                "dim": found.model.dim,
            },
            "index_type": index_type(),
            "metric_type": metric_type,
            "indexing": {
                "allowed": bool(allowed.folders),
                "folders": [str(folder) for folder in allowed.folders],
            },
            "move_to_server": MOVE_TO_SERVER if found.outgrown else None,
            "stale": stale,
        }

    @router.get("/montage", responses=NO_CATEGORY)
    def montage(
        request: Request,
        category: Annotated[str, Query(description="as in /api/library; may be empty")],
        count: Annotated[int, Query(ge=1, le=MAX_MONTAGE)] = 9,
    ) -> dict[str, Any]:
        """Pictures that show what a category holds, the most typical first."""
        shown = library.montage(category, count)
        return {
            "category": shown.category,
            "count": shown.count,
            "pictures": [
                {**_picture_json(request, row), "width": row.width, "height": row.height}
                for row in shown.pictures
            ],
        }

    @router.get("/map", responses=AWAY)
    def sample(request: Request) -> dict[str, Any]:
        """A sample of the pictures in two dimensions: similar ones are near each other."""
        shown = library.map()
        return {
            "points": [
                {
                    **_picture_json(request, point.row),
                    "category": point.row.category,
                    "x": round(point.x, 4),
                    "y": round(point.y, 4),
                }
                for point in shown.points
            ],
            "sampled": len(shown.points),
            "of": shown.of,
            "explained": [round(part, 4) for part in shown.explained],
        }

    return router


def _moment(time_ns: int | None) -> str | None:
    return None if time_ns is None else moment(time_ns)


def _picture_json(request: Request, row: ImageRow) -> dict[str, Any]:
    root = request.scope.get("root_path", "")
    return {
        "id": str(row.m_id),
        "path": row.path,
        "thumbnail_url": f"{root}/{thumbnail_url(row.m_id, row.content_hash)}",
    }


def _run_json(run: LastRun | None) -> dict[str, Any] | None:
    if run is None:
        return None
    skipped = [{"path": path, "reason": reason} for path, reason in run.skipped]
    return {**vars(run), "skipped": skipped}
