"""Files of a bulk import: what is in them, and how they get into a folder or a bucket."""

import json
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

import numpy as np
import pyarrow.parquet as pq
import pytest
from support import free_port

from milvus.bulk import PREFIX, BulkBucket, BulkFolder, BulkRun
from milvus.entities import Embedding, ImageRow, image_id
from milvus.errors import BulkUnusable

DIM = 4
VECTOR = np.array([0.5, 0.5, 0.5, 0.5], dtype=np.float32)


def entities(count: int) -> Iterator[tuple[ImageRow, Embedding]]:
    for n in range(count):
        path = f"/ü 🍋/{n}.jpg"
        row = ImageRow(image_id("/ü 🍋", f"{n}.jpg"), path, "/ü 🍋", "", n, 1, f"h{n}", 4, 3)
        yield replace(row, extras={"caption": f"é {n}"}), VECTOR


class Bucket(ThreadingHTTPServer):
    """What of S3 is needed: one bucket, whose objects are in a dict."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Requests)
        self.objects: dict[str, bytes] = {}
        self.full = False

    @property
    def endpoint(self) -> str:
        return f"127.0.0.1:{self.server_address[1]}"


class _Requests(BaseHTTPRequestHandler):
    server: Bucket
    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self.answer(200 if self.allowed and self.bucket == "a-bucket" else self.refusal)

    def do_GET(self) -> None:
        query = parse_qs(urlsplit(self.path).query, keep_blank_values=True)
        if "location" in query:
            self.answer(200, "<LocationConstraint>us-east-1</LocationConstraint>")
            return
        keys = sorted(k for k in self.server.objects if k.startswith(query["prefix"][0]))
        found = "".join(f"<Contents><Key>{key}</Key><Size>1</Size></Contents>" for key in keys)
        head = "<Name>a-bucket</Name><IsTruncated>false</IsTruncated>"
        self.answer(200, f"<ListBucketResult>{head}{found}</ListBucketResult>")

    def do_PUT(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.server.full:
            said = "<Error><Code>XMinioStorageFull</Code><Message>full</Message></Error>"
            self.answer(507, said)
            return
        self.server.objects[self.key] = body
        self.answer(200)

    def do_DELETE(self) -> None:
        self.server.objects.pop(self.key, None)
        self.answer(204)

    @property
    def bucket(self) -> str:
        return urlsplit(self.path).path.split("/")[1]

    @property
    def key(self) -> str:
        return unquote(urlsplit(self.path).path.split("/", 2)[2])

    @property
    def allowed(self) -> bool:
        return "Credential=user/" in self.headers.get("Authorization", "")

    @property
    def refusal(self) -> int:
        return 404 if self.allowed else 403

    def answer(self, status: int, xml: str = "") -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/xml")
        self.send_header("ETag", '"0"')
        self.send_header("Content-Length", str(len(xml.encode())))
        self.end_headers()
        self.wfile.write(xml.encode())

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Bucket]:
    with Bucket() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def bucket(server: Bucket) -> BulkBucket:
    return BulkBucket(server.endpoint, "a-bucket", "user", "password", False)


def rows_of(data: Path) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = pq.read_table(data).to_pylist()
    return rows


def test_what_is_in_a_file(tmp_path: Path) -> None:
    run = BulkRun(BulkFolder(tmp_path), DIM)
    (file,) = run.write(entities(3))
    assert Path(file).parent == tmp_path / run.name
    rows = rows_of(Path(file))
    assert [row["m_id"] for row in rows] == [row.m_id for row, _ in entities(3)]
    assert rows[1]["path"] == "/ü 🍋/1.jpg"
    assert rows[1]["embedding"] == VECTOR.tolist()
    assert json.loads(str(rows[1]["$meta"])) == {"caption": "é 1"}


def test_many_entities_are_in_several_files(tmp_path: Path) -> None:
    place = BulkFolder(tmp_path)
    run = BulkRun(place, DIM, chunk_bytes=1000)
    files = run.write(entities(100))
    assert len(files) > 5
    rows = [row["m_id"] for file in files for row in rows_of(Path(file))]
    assert rows == [row.m_id for row, _ in entities(100)]
    place.remove(run.name)
    assert list(tmp_path.iterdir()) == []
    place.remove(run.name)  # gone already


def test_no_entities_are_no_files(tmp_path: Path) -> None:
    place = BulkFolder(tmp_path)
    run = BulkRun(place, DIM)
    assert run.write(entities(0)) == []
    place.remove(run.name)
    assert list(tmp_path.iterdir()) == []


def test_a_bucket_gets_the_same_files(
    server: Bucket, bucket: BulkBucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    run = BulkRun(bucket, DIM, chunk_bytes=1000)
    keys = run.write(entities(100))
    assert keys == [f"{PREFIX}/{run.name}/{n}.parquet" for n in range(1, len(keys) + 1)]
    assert list(server.objects) == keys
    assert list(tmp_path.iterdir()) == []  # nothing of it stays here
    copied = tmp_path / "one.parquet"
    copied.write_bytes(server.objects[keys[0]])
    assert rows_of(copied)[0]["path"] == "/ü 🍋/0.jpg"
    server.objects["other"] = b""
    bucket.remove(run.name)
    assert list(server.objects) == ["other"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"name": "none"}, "has no bucket 'none'"),
        ({"access_key": "somebody"}, "--bulk-access-key"),
        ({"endpoint": f"127.0.0.1:{free_port()}"}, "no answer from --bulk-endpoint"),
        ({"secure": True}, "--bulk-secure right"),
        ({"endpoint": "a b"}, "no answer from --bulk-endpoint a b"),
    ],
)
def test_a_bucket_that_cannot_be_used(
    bucket: BulkBucket, change: dict[str, object], said: str
) -> None:
    with pytest.raises(BulkUnusable, match=said) as raised:
        BulkRun(replace(bucket, **change), DIM)  # type: ignore[arg-type]
    assert "password" not in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_bucket_that_is_full(server: Bucket, bucket: BulkBucket) -> None:
    run = BulkRun(bucket, DIM)
    server.full = True
    with pytest.raises(BulkUnusable, match=r"refuses bucket 'a-bucket' \(XMinioStorageFull"):
        run.write(entities(1))


def test_the_secret_key_is_not_shown(bucket: BulkBucket) -> None:
    assert "password" not in repr(bucket)


@pytest.mark.parametrize("run", ["", "..", "/etc", "a" * 31 + "/", "A" * 32])
def test_only_runs_are_removed(tmp_path: Path, bucket: BulkBucket, run: str) -> None:
    (tmp_path / "kept.parquet").touch()
    for place in (BulkFolder(tmp_path), bucket):
        with pytest.raises(BulkUnusable, match="no name of a bulk import"):
            place.remove(run)
    assert (tmp_path / "kept.parquet").exists()


def test_a_file_that_cannot_be_written(tmp_path: Path) -> None:
    run = BulkRun(BulkFolder(tmp_path), DIM)
    (tmp_path / run.name / "1.parquet").mkdir(parents=True)
    with pytest.raises(BulkUnusable, match="files of the import cannot be written"):
        run.write(entities(1))


def test_without_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pymilvus.bulk_writer", None)
    with pytest.raises(BulkUnusable, match=r"pip install -c constraints.txt '\.\[bulk\]'"):
        BulkRun(BulkFolder(tmp_path), DIM)
