"""The application's routes over a store and an encoder of a test, without settings and a server."""

from collections.abc import Sequence
from pathlib import Path

from fastapi import FastAPI

from embeddings.encoder import Encoder
from milvus.store import ImageStore
from webapp.allowed_folders import AllowedFolders
from webapp.api import build_api
from webapp.indexing import Indexing
from webapp.media import Thumbnails
from webapp.search import SearchService


def small_api(
    store: ImageStore,
    encoder: Encoder,
    thumbnails: Path,
    *,
    allowed: Sequence[Path] = (),
    indexing: Indexing | None = None,
    top_k: int = 16,
    max_pixels: int = 10_000_000,
    max_upload_bytes: int = 100_000,
) -> FastAPI:
    """All routes but the page's; ``indexing`` in the place of one of the ``allowed`` folders."""
    return build_api(
        SearchService(store, lambda record: encoder),
        Thumbnails(thumbnails, max_pixels),
        indexing or Indexing(AllowedFolders(allowed)),
        index_type=lambda: "IVF_FLAT",
        metric_type="IP",
        default_top_k=top_k,
        max_query_chars=1000,
        max_upload_bytes=max_upload_bytes,
    )
