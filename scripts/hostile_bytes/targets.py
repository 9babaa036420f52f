"""Readers of our own that get bytes from others, each with whole examples and what it may say.

What is written in C (decoders of pictures, JSON, Parquet) is attacked by the damaged files of
``hostile_images`` and by properties: a fuzzer that follows Python's branches sees nothing of it.
"""

import contextlib
import io
import json
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import httpx
import numpy as np
import torch
from hostile_images.pictures import KINDS, picture

from embeddings.decoding.ordinary import is_ordinary
from embeddings.errors import EncoderUnavailable, EncoderUnsuitable, ImageError, WeightsUnusable
from embeddings.images import open_image
from embeddings.openclip.weights import read_state_dict
from embeddings.remote import RemoteEncoder
from embeddings.wire import Meta, VectorizeAnswer
from indexer.columns import BadRow, check_columns, manifest_row
from indexer.errors import BadManifest
from indexer.snapshot import Snapshots
from indexer.tables import read_table
from milvus.errors import StoreDamaged
from milvus.lite_endpoint import endpoint_file, published_port
from milvus.lite_files import LOCK, check_files
from webapp.accounts import Accounts
from webapp.errors import BadAccounts, BadQuery
from webapp.query_body import query_body

# Of processor time, for one input.
SECONDS = 5.0
LITE = Path("collections") / "images"


@dataclass(frozen=True)
class Target:
    """One reader. ``attempt`` raises where it does what it must not."""

    name: str
    attempt: Callable[[bytes], None]
    seeds: Callable[[], Iterable[bytes]]
    """Whole examples, which a fuzzer goes on from."""

    def __call__(self, data: bytes) -> None:
        began = time.process_time()
        self.attempt(data)
        took = time.process_time() - began
        assert took < SECONDS, f"{took:.1f} s of processor time"


def _picture(data: bytes) -> None:
    """What is taken for an ordinary photo is decoded in this process: in a moment."""
    if is_ordinary(data):
        with contextlib.suppress(ImageError):
            open_image(data, at_least=384)


def _query(data: bytes) -> None:
    with contextlib.suppress(BadQuery):
        query_body(data).query(16, 1000).filter.expression().encode()


def _manifest(suffix: str) -> Callable[[bytes], None]:
    def attempt(data: bytes) -> None:
        path = _folder() / f"manifest{suffix}"
        path.write_bytes(data)
        with contextlib.suppress(BadManifest):
            table = read_table(path)
            check_columns(path, table)
            for row in table.rows:
                with contextlib.suppress(BadRow):
                    manifest_row(path, row).category.encode()

    return attempt


def _weights(data: bytes) -> None:
    """A TorchScript archive whose tree of modules is these bytes."""
    path = _folder() / "weights.pt"
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in {**_archive(), "data.pkl": data}.items():
            archive.writestr(f"archive/{name}", content)
    before = set(_folder().iterdir())
    with contextlib.suppress(WeightsUnusable):
        read_state_dict(path)
    assert set(_folder().iterdir()) == before


def _lite(name: str) -> Callable[[bytes], None]:
    def attempt(data: bytes) -> None:
        store = _folder() / f"{name}.db"
        (store / LITE).mkdir(parents=True, exist_ok=True)
        for other, content in {**_lite_files(), name: data}.items():
            (store / LITE / other).write_bytes(content)
        (store / LOCK).touch()
        with contextlib.suppress(StoreDamaged):
            check_files(store)
        assert (store / LITE / name).read_bytes() == data

    return attempt


def _endpoint(data: bytes) -> None:
    path = _folder() / "shared.db"
    endpoint_file(path).write_bytes(data)
    port = published_port(path)
    assert port is None or 0 < port < 2**16


def _snapshot(data: bytes) -> None:
    snapshots = Snapshots(_folder() / "snapshots", "store")
    snapshots.save("library", {})
    next((_folder() / "snapshots").glob("*.npz")).write_bytes(data)
    known = snapshots.load("library", TOKEN)
    assert known is None or all(len(values) == 3 for values in known.values())


def _users(data: bytes) -> None:
    path = _folder() / "users"
    path.write_bytes(data)
    path.chmod(0o600)
    with contextlib.suppress(BadAccounts):
        Accounts(None, path)


def _meta(data: bytes) -> None:
    with contextlib.suppress(EncoderUnsuitable, EncoderUnavailable):
        _service(data, b"")


def _vectors(data: bytes) -> None:
    encoder = _service(_said().encode(), data)
    with contextlib.suppress(EncoderUnsuitable, EncoderUnavailable):
        found = encoder.encode_texts(["red"])
        assert found.shape == (1, encoder.dim)
        assert abs(np.linalg.norm(found) - 1) < 0.1  # nor NaN


def _service(meta: bytes, answer: bytes) -> RemoteEncoder:
    def said(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, content=meta if request.url.path == "/meta" else answer)

    return RemoteEncoder("http://encoder", transport=httpx.MockTransport(said), pauses=())


def _said() -> str:
    meta = Meta(
        model_id="m", model="m", pretrained=None, dim=4, batch_size=8, logit_scale=100.0,
        image_transform={"size": (8, 8)}, max_body_bytes=10**6, max_items=8,
    )  # fmt: skip
    return meta.model_dump_json()


def _answered() -> str:
    answer = VectorizeAnswer(
        text_vectors=[[0.5, 0.5, 0.5, 0.5]], image_vectors=[], texts_cut=[False], model_id="m"
    )
    return answer.model_dump_json(by_alias=True)


@cache
def _folder() -> Path:
    """For all inputs of this process."""
    return Path(tempfile.mkdtemp(prefix="hostile-bytes-"))


@cache
def _archive() -> dict[str, bytes]:
    """The entries of a small TorchScript archive."""
    module = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.BatchNorm1d(2))
    buffer = io.BytesIO()
    torch.jit.save(torch.jit.script(module), buffer)
    with zipfile.ZipFile(buffer) as archive:
        return {name.partition("/")[2]: archive.read(name) for name in archive.namelist()}


def _lite_files() -> dict[str, bytes]:
    partition = {"data_files": [], "delta_files": []}
    manifest = {"manifest_format_version": 1, "partitions": {"_default": partition}}
    schema = {"schema_format_version": 1, "fields": []}
    files = {"manifest.json": manifest, "schema.json": schema}
    return {name: json.dumps(content).encode() for name, content in files.items()}


TOKEN = "0" * 32


def _saved_snapshot() -> bytes:
    buffer = io.BytesIO()
    numbers = np.arange(3, dtype=np.int64)
    np.savez(buffer, token=np.array(TOKEN), keys=numbers, sizes=numbers, mtimes=numbers,
             stamps=numbers)  # fmt: skip
    return buffer.getvalue()


QUERIES = (
    b'{"q": "red", "top_k": 3, "offset": 1, "min_score": 0.1, "fold": null}',
    b'{"terms": [{"text": "a", "weight": -1}, {"id": "12"}, {"image": "AAAA"}],'
    b'"move_to": {"force": 0.5, "concepts": ["b"], "objects": [1]}}',
    b'{"q": "x", "filter": {"categories": ["c"], "path_prefix": "/a", "after": "2026-01-31T12:00",'
    b'"min_width": 3}, "distance": 0.4}',
)
ROWS = '{"path": "a.png", "caption": "x", "n": 1}\n{"url": "http://a/b.png", "day": "2026-01-31"}\n'
USERS = "anna:$scrypt$ln=2,r=1,p=1$c2FsdHNhbHQ$" + "A" * 43 + "\n# nobody\n"

TARGETS = {
    target.name: target
    for target in (
        Target("picture", _picture, lambda: (picture(kind)[1] for kind in KINDS)),
        Target("query", _query, lambda: QUERIES),
        Target("manifest-csv", _manifest(".csv"), lambda: (b'path,n,c\na.png,1,"x, y"\nb,,\n',)),
        Target("manifest-jsonl", _manifest(".jsonl"), lambda: (ROWS.encode(),)),
        Target("weights", _weights, lambda: (_archive()["data.pkl"],)),
        Target("store-manifest", _lite("manifest.json"), lambda: (_lite_files()["manifest.json"],)),
        Target("store-schema", _lite("schema.json"), lambda: (_lite_files()["schema.json"],)),
        Target("store-address", _endpoint, lambda: (b"http://127.0.0.1:4711",)),
        Target("snapshot", _snapshot, lambda: (_saved_snapshot(),)),
        Target("users", _users, lambda: (USERS.encode(),)),
        Target("service-meta", _meta, lambda: (_said().encode(),)),
        Target("service-vectors", _vectors, lambda: (_answered().encode(),)),
    )
}
