"""Hits as JSON for programs and the page, as lines for the terminal."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from milvus.entities import printable
from webapp.labelling import Labelled
from webapp.library_facts import MOVE_TO_SERVER, Facts
from webapp.query import Hit, SearchResult

NO_CATEGORY = "no category"


def thumbnail_url(image_id: int, content_hash: str) -> str:
    """Where a picture's thumbnail is served, relative to the page."""
    version = thumbnail_version(content_hash)
    return f"media/{image_id}/thumbnail" + (f"?v={version}" if version else "")


def thumbnail_version(content_hash: str) -> str:
    """Tells a picture's thumbnail from those of what was at its place before, in addresses."""
    return quote(content_hash[:16], safe="")


def image_url(hit: Hit) -> str:
    """Where a hit's original is served, relative to the page."""
    return f"media/{hit.id}/image"


def result_json(result: SearchResult, base: str = "/") -> dict[str, Any]:
    """The answer of ``GET /api/search``.

    Ids are strings: they have 63 bits, and JavaScript's numbers keep 53.
    """
    return {
        "took_ms": round(result.took_ms, 2),
        "notes": [note.text for note in result.notes],
        "note_kinds": [note.kind for note in result.notes],
        "more": result.more,
        "searched": result.searched,
        "hits": [
            {**picture_json(hit, base), "score": round(hit.score, 6), "copies": list(hit.copies)}
            for hit in result.hits
        ],
    }


def picture_json(hit: Hit, base: str = "/") -> dict[str, Any]:
    """What is known of a picture, whatever was searched for."""
    return {
        "id": str(hit.id),
        "path": hit.path,
        "category": hit.category,
        "width": hit.width,
        "height": hit.height,
        "caption": hit.caption,
        "label": hit.label,
        "library": hit.library,
        "size": hit.size,
        "modified": moment(hit.mtime_ns),
        "thumbnail_url": base + thumbnail_url(hit.id, hit.content_hash),
        "image_url": base + image_url(hit),
    }


def moment(mtime_ns: int) -> str | None:
    """ISO 8601 in UTC; None for a time that no calendar has."""
    try:
        return datetime.fromtimestamp(mtime_ns // 1_000_000_000, UTC).isoformat()
    except (ValueError, OverflowError, OSError):
        return None


def stats_json(stats: Facts, index_type: str, metric_type: str) -> dict[str, Any]:
    """The answer of ``GET /api/stats`` and ``image-search stats --json``."""
    return {
        "images": stats.images,
        "categories": stats.categories,
        "libraries": stats.libraries,
        "model_id": stats.model.model_id,
        "dim": stats.model.dim,
        "index_type": index_type,
        "metric_type": metric_type,
    }


def result_text(result: SearchResult) -> str:
    """One line for each hit: score, category, path, caption, how many copies it stands for."""
    width = max((len(hit.category) for hit in result.hits), default=0)
    return "\n".join(
        f"{hit.score:6.3f}  {printable(hit.category):<{width}}  {printable(hit.path)}"
        + (f"  {printable(hit.caption)}" if hit.caption else "")
        + (f"  (+{len(hit.copies)} like it)" if hit.copies else "")
        for hit in result.hits
    )


def stats_text(stats: Facts, index_type: str, metric_type: str) -> str:
    """What is indexed, for people."""
    lines = [
        f"{stats.images:,} pictures, {stats.model.model_id}, {stats.model.dim} dimensions, "
        f"{index_type}, {metric_type}"
    ]
    if stats.outgrown:
        lines.append(f"  so many are searched quicker on a Milvus server: {MOVE_TO_SERVER}")
    lines += [f"  library {printable(name)}: {count:,}" for name, count in stats.libraries.items()]
    lines += [
        f"  {printable(name) or NO_CATEGORY}: {count:,}" for name, count in stats.categories.items()
    ]
    return "\n".join(lines)


def labelled_json(found: Sequence[Labelled]) -> list[dict[str, Any]]:
    """What ``image-search label --json`` prints."""
    return [
        {
            "path": one.path.encode("utf-8", "backslashreplace").decode(),
            "labels": [{"label": name, "probability": round(p, 6)} for name, p in one.labels],
        }
        for one in found
    ]


def labelled_text(found: Sequence[Labelled]) -> str:
    """One line for each picture: labels with their probabilities, and the path."""
    return "\n".join(
        ", ".join(f"{name} {p:.1%}" for name, p in one.labels) + f"  {printable(one.path)}"
        for one in found
    )
