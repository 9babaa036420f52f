"""A folder as people have them: every kind of file is indexed or named with its reason."""

import io
import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from fakes import RECORD, FakeEncoder
from PIL import Image
from pillow_heif import register_heif_opener

from indexer.pipeline import PipelineOptions, index_library
from indexer.report import IndexReport
from indexer.scan import Folder
from milvus.collection import MilvusCollection
from milvus.connection import Connection

NAMES = ["it's.jpg", 'a "b".jpg', "new\nline.jpg", "back\\slash.jpg", "emoji 🍋.jpg", "%s {x}.jpg"]


register_heif_opener()


def noise(seed: int, kind: str = "JPEG", size: tuple[int, int] = (64, 48)) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 256, (*size[::-1], 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, kind)
    return buffer.getvalue()


def huge_png() -> bytes:
    """A PNG of 30,000 x 30,000 pixels that is really there, in under a megabyte of zeros."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        crc = struct.pack(">I", zlib.crc32(kind + body))
        return struct.pack(">I", len(body)) + kind + body + crc

    header = struct.pack(">IIBBBBB", 30_000, 30_000, 1, 0, 0, 0, 0)
    body = zlib.compress(bytes((30_000 // 8 + 1) * 30_000), 9)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND", b"")
    )


@pytest.fixture
def store(tmp_path: Path) -> MilvusCollection:
    collection = MilvusCollection(Connection(str(tmp_path / "milvus.db")))
    collection.prepare(RECORD)
    return collection


def index(root: Path, store: MilvusCollection) -> IndexReport:
    return index_library(Folder(root), store, FakeEncoder, PipelineOptions())


def test_a_folder_as_people_have_them(tmp_path: Path, store: MilvusCollection) -> None:
    root = tmp_path / "photos"
    root.mkdir()
    good = {name: noise(n) for n, name in enumerate(NAMES)}
    for n, kind in enumerate(["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "HEIF"]):
        ending = {"JPEG": "jpeg", "TIFF": "tif", "HEIF": "heic"}.get(kind, kind.lower())
        good[f"kind.{ending}"] = noise(50 + n, kind)
    good["a png that says.jpg"] = noise(90, "PNG")
    good["copy of a png that says.jpg"] = good["a png that says.jpg"]
    bad = {
        "empty.jpg": (b"", "the file is empty"),
        "text.jpg": (b"hello", "not a picture in a known format"),
        "cut.jpg": (noise(91)[:900], "damaged picture"),
        "cut.png": (noise(92, "PNG")[:900], "damaged picture"),
        "huge.png": (huge_png(), "30000 x 30000 pixels are more than the limit of 200000000"),
    }
    for name, data in good.items():
        (root / name).write_bytes(data)
    for name, (data, _) in bad.items():
        (root / name).write_bytes(data)
    (root / "loop").symlink_to(root)
    (root / "nowhere.jpg").symlink_to(root / "gone.jpg")
    (root / "link.jpg").symlink_to(root / "kind.jpeg")
    (root / ".hidden.jpg").write_bytes(noise(93))
    (root / "notes.txt").write_text("not a picture")
    os.mkfifo(root / "pipe.jpg")
    (Path(os.fsdecode(os.fsencode(root) + b"/caf\xe9.jpg"))).write_bytes(noise(94))

    report = index(root, store)

    reasons = {Path(skipped.path).name: skipped.reason for skipped in report.skipped}
    for name, (_, reason) in bad.items():
        assert reason in reasons.pop(name)
    assert reasons.pop("loop") == "a symbolic link that leads back to a folder above it"
    assert reasons.pop("nowhere.jpg") == "a symbolic link that leads nowhere"
    assert reasons.pop("pipe.jpg") == "not a regular file"
    assert reasons.pop(os.fsdecode(b"caf\xe9.jpg")) == "its name is not valid Unicode; rename it"
    assert reasons == {}
    assert {Path(row.path).name for row in store.rows()} == {*good, "link.jpg"}
    assert report.added == len(good) + 1
    assert report.done == report.found
    again = index(root, store)
    assert (again.unchanged, again.added, again.removed) == (len(good) + 1, 0, 0)


def test_two_hundred_and_forty_mutated_files(tmp_path: Path, store: MilvusCollection) -> None:
    root = tmp_path / "mutated"
    root.mkdir()
    rng = np.random.default_rng(1)
    kinds = ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "HEIF"]
    for number in range(240):
        data = bytearray(noise(number, kinds[number % len(kinds)]))
        for _ in range(int(rng.integers(1, 30))):
            data[int(rng.integers(len(data)))] ^= 1 << int(rng.integers(8))
        if number % 4 == 0:
            del data[int(rng.integers(1, len(data))) :]
        (root / f"{number:03}.jpg").write_bytes(data)
    report = index(root, store)
    assert report.found == 240
    assert report.added + len(report.skipped) == 240
    assert store.count() == report.added
    assert min(report.added, len(report.skipped)) > 20
    assert all(skipped.reason for skipped in report.skipped)


def test_files_that_change_and_vanish_while_they_are_read(
    tmp_path: Path, store: MilvusCollection, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "busy"
    root.mkdir()
    for number in range(20):
        (root / f"{number:02}.png").write_bytes(noise(number, "PNG"))
    real = Path.read_bytes

    def meanwhile(path: Path) -> bytes:
        if path.name == "03.png":
            path.unlink()
        if path.name == "05.png":
            path.write_bytes(noise(1000, "PNG", (80, 60)))
        return real(path)

    monkeypatch.setattr(Path, "read_bytes", meanwhile)
    report = index(root, store)
    monkeypatch.undo()
    assert [s.reason for s in report.skipped] == ["it vanished while the folder was read"]
    assert report.added == 19
    # What was read belongs to a later time than what was noted, so it is looked at once more.
    after = index(root, store)
    assert (after.found, after.unchanged) == (19, 19)
    sizes = {Path(row.path).name: (row.width, row.height) for row in store.rows()}
    assert sizes["05.png"] == (80, 60)
