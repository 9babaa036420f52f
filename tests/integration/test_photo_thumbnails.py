"""Thumbnails of real photos, indexed into Milvus Lite and shown by the routes of the page."""

import io
import shutil
from collections.abc import Iterator
from hashlib import blake2b
from pathlib import Path

import numpy as np
import pytest
from fakes import RECORD, FakeEncoder
from fastapi.testclient import TestClient
from PIL import Image, ImageOps
from small_api import small_api

from embeddings.images import ImageTransform
from embeddings.leftovers import Leftovers
from embeddings.thumbnails import ThumbnailFolder
from indexer.pipeline import PipelineOptions, index_library
from indexer.report import IndexReport
from indexer.scan import Folder
from indexer.snapshot import Snapshots
from indexer.thumbnailing import Thumbnailing
from milvus.collection import MilvusCollection
from milvus.connection import Connection
from milvus.filters import ImageFilter

pytestmark = pytest.mark.photos

PHOTOS = 160
PAGE = 16
PAGE_BYTES = 500_000


class Encoder(FakeEncoder):
    """With a real model's square, so that photos are decoded as for it."""

    image_transform = ImageTransform((224, 224))


class Indexed:
    """Some photos in a folder of their own, with a store and thumbnails."""

    def __init__(self, root: Path, data: Path, connection: Connection) -> None:
        self.root = root
        self.data = data
        self.store = MilvusCollection(connection)
        self.store.prepare(RECORD)

    def index(self) -> IndexReport:
        folder = ThumbnailFolder(self.data / "thumbnails")
        return index_library(
            Folder(self.root),
            self.store,
            Encoder,
            PipelineOptions(),
            snapshots=Snapshots(self.data / "snapshots", "store"),
            thumbnails=Thumbnailing(folder, Leftovers(folder, "store")),
        )

    def kept(self) -> dict[str, Path]:
        """Files below the thumbnails' folder, by name."""
        files = (path for path in (self.data / "thumbnails").rglob("*") if path.is_file())
        return {path.name: path for path in files}

    def expected(self) -> set[str]:
        """Names that the thumbnails of the folder's photos have."""
        files = self.root.rglob("*.jpg")
        return {f"{blake2b(f.read_bytes(), digest_size=16).hexdigest()}.webp" for f in files}

    def client(self) -> TestClient:
        """The page's routes over the same store and thumbnails."""
        api = small_api(
            self.store, Encoder(), self.data / "thumbnails", top_k=PAGE, max_pixels=10**8
        )
        return TestClient(api)


@pytest.fixture
def indexed(photos: Path, tmp_path: Path) -> Iterator[Indexed]:
    root = tmp_path / "photos"
    root.mkdir()
    chosen = sorted(photos.rglob("*.jpg"))
    for number, path in enumerate(chosen[:: len(chosen) // PHOTOS]):
        shutil.copy(path, root / f"{number:04}.jpg")
    connection = Connection(str(tmp_path / "milvus.db"))
    yield Indexed(root, tmp_path / "data", connection)
    connection.close()


def test_indexing_makes_them_and_any_page_of_them_is_small(indexed: Indexed) -> None:
    report = indexed.index()
    assert report.added >= PHOTOS
    assert report.problems == []
    kept = indexed.kept()
    assert kept.keys() == indexed.expected()
    sizes = sorted(path.stat().st_size for path in kept.values())
    assert sum(sizes[-PAGE:]) <= PAGE_BYTES  # of the heaviest
    assert np.mean(sizes) > 3000  # and they do show something
    made = {name: path.stat().st_mtime_ns for name, path in kept.items()}
    client = indexed.client()
    hits = client.get("/api/search", params={"q": "red green"}).json()["hits"]
    shown = [client.get(hit["thumbnail_url"]) for hit in hits]
    assert len(shown) == PAGE
    assert sum(len(answer.content) for answer in shown) <= PAGE_BYTES
    for hit, answer in zip(hits, shown, strict=True):
        with Image.open(hit["path"]) as photo, Image.open(io.BytesIO(answer.content)) as small:
            whole = photo.convert("RGB")
            whole.thumbnail((384, 384))
            assert small.size == whole.size
            difference = np.asarray(small.convert("RGB"), float) - np.asarray(whole, float)
            assert np.abs(difference).mean() < 6
    assert {name: path.stat().st_mtime_ns for name, path in indexed.kept().items()} == made


def test_large_sideways_photos_come_upright(indexed: Indexed) -> None:
    path = sorted(indexed.root.iterdir())[3]
    with Image.open(path) as photo:
        large = photo.convert("RGB").resize((2400, 1600))
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was held upright
    large.save(path, exif=exif)
    indexed.index()
    (row,) = indexed.store.search(
        np.array([1, 1, 1, 0], np.float32), 1, ImageFilter(min_width=1600, max_width=1600)
    )
    assert (row.row.width, row.row.height) == (1600, 2400)
    answer = indexed.client().get(f"/media/{row.row.m_id}/thumbnail")
    with Image.open(path) as photo, Image.open(io.BytesIO(answer.content)) as small:
        upright = ImageOps.exif_transpose(photo).resize((256, 384))
        assert small.size == (256, 384)
        difference = np.asarray(small.convert("RGB"), float) - np.asarray(upright, float)
    assert np.abs(difference).mean() < 6


def test_they_go_with_their_photos(indexed: Indexed) -> None:
    indexed.index()
    files = sorted(indexed.root.iterdir())
    for path in files[:40]:
        path.unlink()
    files[41].rename(indexed.root / "moved.jpg")
    shutil.copy(files[42], files[43])
    shutil.copy(files[44], indexed.root / "copy.jpg")
    report = indexed.index()
    assert (report.removed, report.moved, report.updated, report.added) == (40, 1, 1, 1)
    assert indexed.kept().keys() == indexed.expected()
    assert indexed.index().unchanged == report.found
    assert indexed.store.last_runs()[str(indexed.root)].unchanged == report.found
