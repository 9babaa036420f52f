"""Hits as JSON for programs, as HTML for the page, as lines for the terminal."""

from collections.abc import Sequence
from datetime import UTC, datetime
from html import escape
from pathlib import PurePath
from typing import Any
from urllib.parse import quote

from embeddings.errors import EncoderError
from milvus.entities import printable
from milvus.errors import CollectionMissing, StoreError
from webapp.errors import BadQuery, ImageGone
from webapp.labelling import Labelled
from webapp.query import Hit, SearchResult
from webapp.search import LibraryStats

NO_CATEGORY = "no category"


def thumbnail_url(hit: Hit) -> str:
    """Where a hit's thumbnail is served, relative to the page."""
    version = thumbnail_version(hit.content_hash)
    return f"media/{hit.id}/thumbnail" + (f"?v={version}" if version else "")


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
        "notes": list(result.notes),
        "more": result.more,
        "hits": [
            {
                "id": str(hit.id),
                "path": hit.path,
                "category": hit.category,
                "score": round(hit.score, 6),
                "width": hit.width,
                "height": hit.height,
                "caption": hit.caption,
                "label": hit.label,
                "library": hit.library,
                "size": hit.size,
                "modified": _moment(hit.mtime_ns),
                "copies": list(hit.copies),
                "thumbnail_url": base + thumbnail_url(hit),
                "image_url": base + image_url(hit),
            }
            for hit in result.hits
        ],
    }


def _moment(mtime_ns: int) -> str | None:
    """ISO 8601 in UTC; None for a time that no calendar has."""
    try:
        return datetime.fromtimestamp(mtime_ns // 1_000_000_000, UTC).isoformat()
    except (ValueError, OverflowError, OSError):
        return None


def stats_json(stats: LibraryStats, index_type: str, metric_type: str) -> dict[str, Any]:
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


def stats_text(stats: LibraryStats, index_type: str, metric_type: str) -> str:
    """What is indexed, for people."""
    lines = [
        f"{stats.images:,} pictures, {stats.model.model_id}, {stats.model.dim} dimensions, "
        f"{index_type}, {metric_type}"
    ]
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


def result_html(result: SearchResult, searched: int) -> str:
    """The grid, with what was searched and how long it took above it."""
    if not result.hits:
        reason = "; ".join(result.notes) or "the index holds no picture that could be compared"
        return message_html("Nothing found", _sentence(reason))
    notes = "".join(
        f'<p class="note" role="status">{escape(_sentence(n))}</p>' for n in result.notes
    )
    shown = f"{len(result.hits)} best of {searched:,} pictures"
    cards = "".join(_card(hit, rank) for rank, hit in enumerate(result.hits, start=1))
    return (
        f'<p class="status" role="status">{shown} · {result.took_ms:.0f} ms</p>'
        f"{notes}"
        f'<ol class="grid" aria-label="Results, best first">{cards}</ol>'
    )


def message_html(title: str, text: str, commands: tuple[str, ...] = ()) -> str:
    """A state without pictures: what is the matter, and what to do."""
    code = "".join(f"<code>{escape(command)}</code>" for command in commands)
    return (
        f'<div class="message" role="status"><h2>{escape(title)}</h2>'
        f"<p>{escape(text)}</p>{code}</div>"
    )


def welcome_html(count: int) -> str:
    """What stands below the search box before the first search."""
    if count == 0:
        return error_html(CollectionMissing())
    pictures = "1 picture is" if count == 1 else f"{count:,} pictures are"
    return message_html(
        f"{pictures} ready", "Describe what you look for, as you would say it to a person."
    )


def error_html(error: Exception) -> str:
    """The page's message for what went wrong."""
    if isinstance(error, CollectionMissing):
        return message_html(
            "Nothing is indexed yet",
            "Index a folder of pictures in a terminal; this page finds them without a restart.",
            ("index-folder /path/to/your/photos",),
        )
    titles: tuple[tuple[type[Exception], str], ...] = (
        (BadQuery, "That cannot be searched for"),
        (ImageGone, "That picture is not there"),
        (EncoderError, "The model is not there"),
        (StoreError, "The store is not there"),
    )
    title = next((title for kind, title in titles if isinstance(error, kind)), "It did not work")
    return message_html(title, _sentence(str(error)))


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + "." * (not text.endswith("."))


def _card(hit: Hit, rank: int) -> str:
    name = PurePath(hit.path).name
    # A picture at the root of its library has no category; its folder's name says most.
    category = hit.category or PurePath(hit.path).parent.name
    copies = f" +{len(hit.copies)}" if hit.copies else ""
    text = f'<span class="text">{escape(hit.caption)}</span>' if hit.caption else ""
    described = hit.caption or f"{category}: {name}"
    return (
        f'<li><a class="card" href="{image_url(hit)}" target="_blank" rel="noopener" '
        f'title="{escape(hit.path)}">'
        f'<img src="{thumbnail_url(hit)}" alt="{escape(described)}" width="{hit.width}" '
        f'height="{hit.height}" loading="{"eager" if rank <= 8 else "lazy"}" decoding="async">'
        f'<span class="caption"><span class="category">{escape(category)}{copies}</span>'
        f'<span class="score" title="cosine similarity">{hit.score:.3f}</span></span>'
        f"{text}</a></li>"
    )
