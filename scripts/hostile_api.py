"""Drive the HTTP API from its own description: requests that fit it, and requests that do not."""

import contextlib
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import hypothesis
import numpy as np
import requests
import schemathesis
import uvicorn
from fastapi import FastAPI
from PIL import Image
from schemathesis import GenerationMode, checks
from schemathesis.core.failures import FailureGroup
from schemathesis.specs.openapi import checks as openapi_checks

from embeddings.encoder import Encoder
from indexer.pipeline import PipelineOptions, index_library
from indexer.scan import Folder
from milvus.collection import MilvusCollection
from milvus.connection import Connection
from milvus.entities import ModelRecord
from milvus.index_params import METRIC_TYPE
from webapp.allowed_folders import AllowedFolders
from webapp.api import build_api
from webapp.indexing import Indexing
from webapp.media import Thumbnails
from webapp.search import SearchService

CHECKS = [
    checks.not_a_server_error,
    openapi_checks.status_code_conformance,
    openapi_checks.content_type_conformance,
    openapi_checks.response_schema_conformance,
    openapi_checks.response_headers_conformance,
]
# What a program of ours answers itself; all else would be a surprise.
SLOW_S = 30.0


@dataclass
class Driven:
    """What became of the requests."""

    requests: int = 0
    statuses: Counter[str] = field(default_factory=Counter)
    slowest: tuple[float, str] = (0.0, "")
    failures: list[str] = field(default_factory=list)

    def as_text(self) -> str:
        """For people."""
        lines = [f"{self.requests} requests"]
        lines += [f"  {count:6}  {what}" for what, count in sorted(self.statuses.items())]
        lines.append("slowest: {:.2f} s, {}".format(*self.slowest))
        return "\n".join([*lines, *(f"FAILED {failure}" for failure in self.failures)])


def application(folder: Path, encoder: Encoder, name: str) -> tuple[FastAPI, MilvusCollection]:
    """Our API over a few pictures in Milvus Lite; indexing is not allowed."""
    rng = np.random.default_rng(0)
    for category, colour in (("red", "red"), ("blue", "blue"), ('a "b" \\', "green")):
        (folder / "library" / category).mkdir(parents=True)
        for number in range(4):
            image = Image.new("RGB", (60 + number, 40), colour)
            image.putpixel((3, 3), tuple(rng.integers(0, 256, 3).tolist()))
            image.save(folder / "library" / category / f"{number}.png")
    store = MilvusCollection(Connection(str(folder / "milvus.db"), timeout=30))
    store.prepare(ModelRecord(encoder.model_id, encoder.dim, name, None))
    index_library(Folder(folder / "library"), store, lambda: encoder, PipelineOptions())
    app = build_api(
        SearchService(store, lambda record: encoder),
        Thumbnails(folder / "thumbnails", 100_000_000),
        Indexing(AllowedFolders()),
        index_type=lambda: store.index.index_type,
        metric_type=METRIC_TYPE,
        default_top_k=16,
        max_query_chars=1000,
        max_upload_bytes=1_000_000,
    )
    return app, store


@contextlib.contextmanager
def serving(app: FastAPI) -> Iterator[str]:
    """The address of a server for the application, as long as this is open."""
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="critical", ws="none"))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started and thread.is_alive():
            thread.join(0.05)
        port = server.servers[0].sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join()


def drive(address: str, examples: int, seed: int) -> Driven:
    """So many requests of each kind to each route, with ids that are there among them."""
    driven = Driven()
    with requests.Session() as session:
        described = session.get(f"{address}/api/openapi.json", timeout=SLOW_S).json()
        found = session.get(f"{address}/api/search?q=red", timeout=SLOW_S).json()["hits"]
        schema = schemathesis.openapi.from_dict(_with_ids(described, [hit["id"] for hit in found]))
        schema.config.base_url = address
        for result in schema.get_all_operations():
            for mode in GenerationMode:
                _drive(driven, result.ok(), mode, session, examples, seed)
    return driven


def _with_ids(described: dict[str, Any], ids: list[str]) -> dict[str, Any]:
    """The description with the ids that exist; what does not fit it are all others."""
    for path in described["paths"].values():
        for operation in path.values():
            for parameter in operation.get("parameters", ()):
                if parameter["name"] == "image_id":
                    parameter["schema"] = {"type": "integer", "enum": [int(key) for key in ids]}
                if parameter["name"] == "q":
                    parameter["schema"] = {"type": "string", "minLength": 1}
    return described


def _drive(
    driven: Driven,
    operation: Any,
    mode: GenerationMode,
    session: requests.Session,
    examples: int,
    seed: int,
) -> None:
    @hypothesis.seed(seed)
    @hypothesis.settings(
        max_examples=examples,
        deadline=None,
        database=None,
        suppress_health_check=list(hypothesis.HealthCheck),
        phases=[hypothesis.Phase.generate],
    )
    @hypothesis.given(case=operation.as_strategy(generation_mode=mode))
    def asked(case: Any) -> None:
        response = case.call(session=session, timeout=SLOW_S)
        driven.requests += 1
        driven.statuses[f"{case.method} {case.path} {response.status_code}"] += 1
        driven.slowest = max(driven.slowest, (response.elapsed, f"{case.method} {case.path}"))
        case.validate_response(response, checks=CHECKS)

    try:
        asked()
    except hypothesis.errors.Unsatisfiable:
        pass  # a route without arguments has none that do not fit
    except (FailureGroup, ExceptionGroup) as group:
        driven.failures.append(f"{operation.label} ({mode.value}): {_told(group)}")


def _told(error: BaseException) -> str:
    inner = getattr(error, "exceptions", ())
    return " | ".join(map(_told, inner)) if inner else f"{type(error).__name__}: {error}"
