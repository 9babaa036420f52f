"""Small stand-ins for unit tests: an encoder that knows colours, a store in memory."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from PIL import Image

from embeddings.encoder import Embeddings
from embeddings.images import ImageTransform
from milvus.entities import Embedding, ImageRow, Match, ModelRecord
from milvus.errors import CollectionMissing, ModelMismatch
from milvus.filters import EVERYTHING, ImageFilter
from milvus.runs import LastRun

COLOURS = {"red": (1, 0, 0), "green": (0, 1, 0), "blue": (0, 0, 1)}
MOST_WORDS = 20
RECORD = ModelRecord("fake/1", 4, "fake", None)


class FakeEncoder:
    """Embeds a picture as its mean colour and a text as the colours that it names."""

    dim = 4
    model_id = "fake/1"
    image_transform = ImageTransform((8, 8))
    logit_scale = 10.0

    def __init__(self, batch_size: int = 4) -> None:
        self.batch_size = batch_size
        self.batches_at_once = 1
        self.batches: list[int] = []

    def encode_images(self, images: Sequence[Image.Image]) -> Embeddings:
        self.batches.append(len(images))
        return _unit([np.asarray(self.image_transform(i)).mean((0, 1)) / 255 for i in images])

    def is_cut(self, text: str) -> bool:
        return len(text.split()) > MOST_WORDS

    def encode_texts(self, texts: Sequence[str]) -> Embeddings:
        named = [[COLOURS[w] for w in text.lower().split() if w in COLOURS] for text in texts]
        return _unit([np.sum(colours or [(0, 0, 0)], axis=0) for colours in named])


def _unit(colours: list[np.ndarray]) -> Embeddings:
    # The fourth number keeps black from having no direction.
    rows = np.array([[*colour, 0.01] for colour in colours], dtype=np.float32).reshape(-1, 4)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def passes(row: ImageRow, only: ImageFilter) -> bool:
    """The filter in plain Python."""
    ranges = (
        (row.mtime_ns, only.after_ns, None if only.before_ns is None else only.before_ns - 1),
        (row.width, only.min_width, only.max_width),
        (row.height, only.min_height, only.max_height),
    )
    return (
        (not only.categories or row.category in only.categories)
        and (not only.libraries or row.library in only.libraries)
        and (not only.labels or row.extras.get("label") in only.labels)
        and row.path.startswith(only.path_prefix)
        and row.m_id not in only.without_ids
        and all((a is None or a <= v) and (b is None or v <= b) for v, a, b in ranges)
    )


@dataclass
class MemoryStore:
    """The ImageStore protocol over a dict; counts writes and flushes."""

    held: dict[int, tuple[ImageRow, Embedding]] = field(default_factory=dict)
    record: ModelRecord | None = RECORD
    writes: list[int] = field(default_factory=list)
    flushes: int = 0
    tokens: dict[str, str] = field(default_factory=dict)
    runs: dict[str, LastRun] = field(default_factory=dict)
    filters: list[ImageFilter] = field(default_factory=list)
    """Of each search."""
    is_lite: bool = False

    def prepare(self, model: ModelRecord) -> None:
        if self.record not in (None, model):
            raise ModelMismatch("another model")
        self.record = model

    def model(self) -> ModelRecord:
        if self.record is None:
            raise CollectionMissing("nothing is indexed; run: index-folder FOLDER")
        return self.record

    def upsert(self, rows: Sequence[ImageRow], embeddings: Sequence[Embedding]) -> None:
        self.writes.append(len(rows))
        self.held.update({r.m_id: (r, e) for r, e in zip(rows, embeddings, strict=True)})

    def delete(self, ids: Sequence[int]) -> None:
        for key in ids:
            self.held.pop(key, None)

    def flush(self) -> None:
        self.flushes += 1

    def search(
        self,
        embedding: Embedding,
        top_k: int,
        only: ImageFilter = EVERYTHING,
        *,
        with_embeddings: bool = False,
    ) -> list[Match]:
        self.filters.append(only)
        matches = [
            Match(row, float(vector @ embedding), vector if with_embeddings else None)
            for row, vector in self.entities(only)
        ]
        return sorted(matches, key=lambda match: -match.score)[:top_k]

    def get(self, ids: Sequence[int]) -> list[ImageRow]:
        return [self.held[key][0] for key in ids if key in self.held]

    def embeddings(self, ids: Sequence[int]) -> dict[int, Embedding]:
        return {key: self.held[key][1] for key in ids if key in self.held}

    def rows(self, library: str | None = None) -> Iterator[ImageRow]:
        self.model()
        found = [row for row, _ in self.held.values() if library in (None, row.library)]
        return iter(found)

    def at_paths(self, paths: Sequence[str]) -> list[ImageRow]:
        return [row for row, _ in self.held.values() if row.path in paths]

    def entities(self, only: ImageFilter = EVERYTHING) -> Iterator[tuple[ImageRow, Embedding]]:
        self.model()
        return iter([(row, vector) for row, vector in self.held.values() if passes(row, only)])

    def held_hashes(self, content_hashes: Collection[str]) -> set[str]:
        self.model()
        return {row.content_hash for row, _ in self.held.values()} & set(content_hashes)

    def count(self) -> int:
        self.model()
        return len(self.held)

    def drop_library(self, library: str) -> int:
        keys = [row.m_id for row in self.rows(library)]
        self.delete(keys)
        self.tokens.pop(library, None)
        self.runs.pop(library, None)
        return len(keys)

    def siblings(self) -> list["MemoryStore"]:
        return []

    def drop(self) -> None:
        self.model()
        self.held.clear()
        self.record = None

    def token(self, library: str) -> str | None:
        self.model()
        return self.tokens.get(library) or None

    def set_token(self, library: str, token: str) -> None:
        self.tokens[library] = token

    def note_run(self, library: str, run: LastRun, token: str | None = None) -> None:
        self.model()
        self.runs[library] = run
        if token is not None:
            self.tokens[library] = token

    def last_runs(self) -> dict[str, LastRun]:
        self.model()
        return dict(self.runs)
