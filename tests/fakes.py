"""Small stand-ins for unit tests: an encoder that knows colours, a store in memory."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from PIL import Image

from embeddings.encoder import Embeddings
from embeddings.images import ImageTransform
from milvus.entities import Embedding, ImageRow, Match, ModelRecord
from milvus.errors import CollectionMissing, ModelMismatch

COLOURS = {"red": (1, 0, 0), "green": (0, 1, 0), "blue": (0, 0, 1)}
RECORD = ModelRecord("fake/1", 4, "fake", None)


class FakeEncoder:
    """Embeds a picture as its mean colour and a text as the colours that it names."""

    dim = 4
    model_id = "fake/1"
    image_transform = ImageTransform((8, 8))

    def __init__(self, batch_size: int = 4) -> None:
        self.batch_size = batch_size
        self.batches: list[int] = []

    def encode_images(self, images: Sequence[Image.Image]) -> Embeddings:
        self.batches.append(len(images))
        return _unit([np.asarray(self.image_transform(i)).mean((0, 1)) / 255 for i in images])

    def encode_texts(self, texts: Sequence[str]) -> Embeddings:
        named = [[COLOURS[w] for w in text.lower().split() if w in COLOURS] for text in texts]
        return _unit([np.sum(colours or [(0, 0, 0)], axis=0) for colours in named])


def _unit(colours: list[np.ndarray]) -> Embeddings:
    # The fourth number keeps black from having no direction.
    rows = np.array([[*colour, 0.01] for colour in colours], dtype=np.float32).reshape(-1, 4)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@dataclass
class MemoryStore:
    """The ImageStore protocol over a dict; counts writes and flushes."""

    entities: dict[int, tuple[ImageRow, Embedding]] = field(default_factory=dict)
    record: ModelRecord | None = RECORD
    writes: list[int] = field(default_factory=list)
    flushes: int = 0
    tokens: dict[str, str] = field(default_factory=dict)

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
        self.entities.update({r.m_id: (r, e) for r, e in zip(rows, embeddings, strict=True)})

    def delete(self, ids: Sequence[int]) -> None:
        for key in ids:
            self.entities.pop(key, None)

    def flush(self) -> None:
        self.flushes += 1

    def search(
        self, embedding: Embedding, top_k: int, categories: Sequence[str] = ()
    ) -> list[Match]:
        matches = [
            Match(row, float(vector @ embedding))
            for row, vector in self.entities.values()
            if not categories or row.category in categories
        ]
        return sorted(matches, key=lambda match: -match.score)[:top_k]

    def get(self, ids: Sequence[int]) -> list[ImageRow]:
        return [self.entities[key][0] for key in ids if key in self.entities]

    def embeddings(self, ids: Sequence[int]) -> dict[int, Embedding]:
        return {key: self.entities[key][1] for key in ids if key in self.entities}

    def rows(self, library: str | None = None) -> Iterator[ImageRow]:
        self.model()
        found = [row for row, _ in self.entities.values() if library in (None, row.library)]
        return iter(found)

    def count(self) -> int:
        self.model()
        return len(self.entities)

    def token(self, library: str) -> str | None:
        self.model()
        return self.tokens.get(library) or None

    def set_token(self, library: str, token: str) -> None:
        self.tokens[library] = token
