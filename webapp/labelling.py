"""Zero-shot classification: which of some labels a picture shows, as CLIP's paper does it."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from embeddings.encoder import Embeddings, Encoder
from milvus.entities import Embedding, ImageRow
from milvus.store import ImageStore
from webapp.errors import BadQuery

# The seven that OpenAI's notebook on prompt engineering found best together for ImageNet.
TEMPLATES = (
    "itap of a {}.",
    "a bad photo of the {}.",
    "a origami {}.",
    "a photo of the large {}.",
    "a {} in a video game.",
    "art of the {}.",
    "a photo of the small {}.",
)
WRITE_BATCH = 50
MAX_LABELS = 10_000


@dataclass(frozen=True)
class Labelled:
    """A picture's labels, most probable first."""

    path: str
    labels: list[tuple[str, float]]
    """Label and probability; the probabilities of all labels add up to 1."""


def labels_from(path: Path) -> list[str]:
    """Read a file of labels, one a line; empty lines and those that begin with # do not count.

    Raises BadQuery.
    """
    try:
        text = path.read_text("utf-8-sig")
    except OSError as error:
        raise BadQuery(f"{path}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise BadQuery(f"{path}: not UTF-8; save it as UTF-8") from error
    lines = [line.strip() for line in text.splitlines()]
    labels = list(dict.fromkeys(line for line in lines if line and not line.startswith("#")))
    if len(labels) < 2:
        raise BadQuery(f"{path}: at least two labels are needed, one a line")
    if len(labels) > MAX_LABELS:
        raise BadQuery(f"{path}: {len(labels):,} labels are too many; at most {MAX_LABELS:,}")
    return labels


class Classifier:
    """Compares pictures with the mean embedding of each label's prompts.

    ``templates`` hold ``{}`` where the label goes.
    """

    def __init__(
        self, encoder: Encoder, labels: Sequence[str], templates: Sequence[str] = TEMPLATES
    ) -> None:
        for template in templates:
            if template.count("{}") != 1:
                raise BadQuery(f"a template has one {{}} where the label goes: {template!r}")
        self._labels = list(labels)
        self._scale = encoder.logit_scale
        prompts = [t.replace("{}", label) for label in labels for t in templates]
        vectors = encoder.encode_texts(prompts).reshape(len(labels), len(templates), -1)
        means = vectors.mean(axis=1)
        self._means = means / np.linalg.norm(means, axis=1, keepdims=True)

    def probabilities(self, embeddings: Embeddings) -> np.ndarray:
        """Softmax of the scaled cosines: shape ``(n, dim)`` → ``(n, labels)``."""
        logits = self._scale * (embeddings @ self._means.T).astype(np.float64)
        exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
        shares: np.ndarray = exponentials / exponentials.sum(axis=1, keepdims=True)
        return shares

    def label(self, paths: Sequence[str], embeddings: Embeddings, top: int) -> list[Labelled]:
        """The ``top`` most probable labels of each picture."""
        found = []
        for path, shares in zip(paths, self.probabilities(embeddings), strict=True):
            best = np.argsort(-shares, kind="stable")[:top]
            found.append(Labelled(path, [(self._labels[i], float(shares[i])) for i in best]))
        return found

    def label_stored(
        self, entities: Iterable[tuple[ImageRow, Embedding]], top: int
    ) -> Iterator[Labelled]:
        """The same for pictures as they are stored."""
        for batch in _batches(list(entities)):
            vectors = np.stack([vector for _, vector in batch])
            yield from self.label([row.path for row, _ in batch], vectors, top)


def write_labels(
    store: ImageStore, classifier: Classifier, entities: Iterable[tuple[ImageRow, Embedding]]
) -> Iterator[Labelled]:
    """Store the best label of each picture as its fields ``label`` and ``label_score``; what was
    written, once it is."""
    for batch in _batches(list(entities)):
        rows, vectors = [row for row, _ in batch], np.stack([vector for _, vector in batch])
        labelled = classifier.label([row.path for row in rows], vectors, 1)
        changed = [
            replace(row, extras={**row.extras, "label": name, "label_score": probability})
            for row, ((name, probability),) in zip(
                rows, (found.labels for found in labelled), strict=True
            )
        ]
        store.upsert(changed, list(vectors))
        yield from labelled
    store.flush()


def _batches(
    entities: list[tuple[ImageRow, Embedding]],
) -> Iterator[list[tuple[ImageRow, Embedding]]]:
    for start in range(0, len(entities), WRITE_BATCH):
        yield entities[start : start + WRITE_BATCH]
