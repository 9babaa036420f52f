"""Pictures that mean harm: decoded or refused with a reason, in bounds, and never a crash."""

import io
import json
import struct
import time
from hashlib import blake2b
from pathlib import Path

import numpy as np
import pytest
from fakes import FakeEncoder, MemoryStore
from fastapi.testclient import TestClient
from hostile_images import bombs_jpeg, bombs_png
from hostile_images.corpus import QUICK, corpus
from hostile_images.judge import judge
from PIL import Image, ImageOps
from small_api import small_api
from support import run

from embeddings.decoding.decode import Decoded, decode, decode_here
from embeddings.decoding.ordinary import is_ordinary
from embeddings.errors import ImageError
from embeddings.images import ImageTransform
from milvus.entities import ImageRow

TRANSFORM = ImageTransform((56, 56))
MOST = 200_000_000


def test_each_is_decoded_or_refused_within_bounds() -> None:
    verdict = judge(files=160, seed=7, side=QUICK)
    assert verdict.breaches == []
    assert verdict.files > 250
    assert verdict.indexed > 80
    assert verdict.skipped.total() > 80
    assert len(verdict.skipped) > 15  # reasons


def test_a_folder_of_them_is_indexed_by_the_command(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    for file in corpus(120, seed=8, side=QUICK)[::2]:
        (folder / file.name).write_bytes(file.make())
    Image.new("RGB", (64, 64), "red").save(folder / "whole.png")
    ran = run("index-folder", folder, "--json", "--model", "sample", data=tmp_path / "data")
    assert ran.code == 0, ran.err
    said = [line for line in ran.err.replace("\r", "\n").splitlines() if "%|" not in line]
    report = json.loads(ran.out)
    told = {Path(skipped["path"]).name: skipped["reason"] for skipped in report["skipped"]}
    assert [line for line in said if "Warning" in line or "Traceback" in line] == []
    assert report["found"] == len(list(folder.iterdir()))
    counted = report["added"] + report["updated"] + report["moved"] + report["unchanged"]
    assert counted + len(told) == report["found"]
    assert report["added"] > 30
    assert len(told) > 30
    assert all(told.values())
    assert "whole.png" not in told
    assert all(len(reason.splitlines()) == 1 for reason in told.values())


def test_queries_and_views_of_them_are_answered(tmp_path: Path) -> None:
    store, encoder = MemoryStore(), FakeEncoder()
    files = corpus(100, seed=9, side=QUICK)[::4]
    for number, file in enumerate(files):
        path = tmp_path / file.name
        path.write_bytes(file.make())
        status = path.stat()
        content_hash = blake2b(path.read_bytes(), digest_size=16).hexdigest()
        row = ImageRow(
            number, str(path), str(tmp_path), "", status.st_mtime_ns, status.st_size,
            content_hash, 9, 9,
        )  # fmt: skip
        store.upsert([row], [np.array([1, 0, 0, 0], dtype=np.float32)])
    app = small_api(
        store, encoder, tmp_path / "thumbnails", max_pixels=MOST, max_upload_bytes=40_000_000
    )
    searched, shown = [], []
    with TestClient(app) as client:  # which raises what the application does not answer
        for number, file in enumerate(files):
            upload = {"image": (file.name, (tmp_path / file.name).read_bytes())}
            answer = client.post("/api/search", files=upload)
            assert (answer.status_code, bool(answer.json().get("error"))) in (
                (200, False), (400, True),
            ), answer.text  # fmt: skip
            searched.append(answer.status_code)
            thumbnail = client.get(f"/media/{number}/thumbnail")
            shown.append(thumbnail.status_code)
            if thumbnail.status_code == 200:
                with Image.open(io.BytesIO(thumbnail.content)) as image:
                    assert image.format == "WEBP"
            else:
                assert thumbnail.json()["kind"] == "image_gone"
            original = client.get(f"/media/{number}/image")
            assert original.content == upload["image"][1]
            assert original.headers["X-Content-Type-Options"] == "nosniff"
    assert set(searched) == {200, 400}
    assert set(shown) == {200, 404}


def decoded(data: bytes, with_thumbnail: bool = False) -> Decoded:
    return decode(data, MOST, transform=TRANSFORM, with_thumbnail=with_thumbnail)


@pytest.mark.parametrize("kind", ["TIFF", "AVIF", "HEIF"])
def test_a_worker_gives_the_same_pixels(kind: str) -> None:
    image = Image.effect_noise((700, 500), 90).convert("RGB")
    exif = Image.Exif()
    exif[0x0112] = 6
    buffer = io.BytesIO()
    image.save(buffer, kind, exif=exif)
    assert not is_ordinary(buffer.getvalue())
    there = decoded(buffer.getvalue(), with_thumbnail=True)
    here = decode_here(buffer.getvalue(), MOST, TRANSFORM, True)
    assert there.square is not None
    assert here.square is not None
    assert there.square.tobytes() == here.square.tobytes()
    assert there.thumbnail == here.thumbnail
    with Image.open(buffer) as whole:
        upright = ImageOps.exif_transpose(whole)
    assert (there.width, there.height) == (here.width, here.height) == upright.size
    assert np.array_equal(np.asarray(there.square), np.asarray(TRANSFORM(upright)))
    assert decode(buffer.getvalue(), with_thumbnail=True).thumbnail


def test_what_takes_too_long_is_ended_and_others_go_on() -> None:
    scans = dict(bombs_jpeg.bombs(10_000, 1))["scans"]()
    with pytest.raises(ImageError, match="takes too long to decode"):
        decoded(scans)
    buffer = io.BytesIO()
    Image.new("RGB", (90, 90), "red").save(buffer, "TIFF")
    assert decoded(buffer.getvalue()).width == 90


def test_what_takes_too_much_memory_is_refused() -> None:
    # 24,000 x 8,000 pixels of four bytes are 768 MB, and turned another as many.
    turned = bombs_png.chunk(b"eXIf", b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0")
    wide = bombs_png.png(24_000, 8_000, before=turned)
    assert decoded(wide).height == 24_000  # shrunk before it is turned
    thin = bombs_png.png(100, 1_900_000, colours=bombs_png.RGBA)
    with pytest.raises(ImageError, match="not enough memory"):
        decoded(thin)


def test_metadata_in_excess_costs_nothing() -> None:
    tags = b"".join(struct.pack(">HHII", n, 2, 400_000, 26) for n in range(5_000))
    exif = b"MM\0*\0\0\0\x08" + struct.pack(">H", 5_000) + tags + bytes(400_000)
    started = time.process_time()
    assert decoded(bombs_png.png(99, 99, before=bombs_png.chunk(b"eXIf", exif))).width == 99
    assert time.process_time() - started < 2
