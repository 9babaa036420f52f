"""Embeddings of texts for searching: repeated ones from a cache, simultaneous ones together."""

import threading
from collections import OrderedDict
from collections.abc import Sequence

import numpy as np

from embeddings.encoder import Embeddings, Encoder
from embeddings.together import Together

# 3 KiB each at 768 dimensions.
CACHED = 2048


class TextEmbeddings:
    """Remembers the texts that were used last. Safe to call from several threads."""

    def __init__(self, encoder: Encoder, most: int = CACHED) -> None:
        self._encode = Together(encoder.encode_texts)
        self._dim = encoder.dim
        self._most = most
        self._cache: OrderedDict[str, np.ndarray] = OrderedDict()
        self._lock = threading.Lock()

    def __call__(self, texts: Sequence[str]) -> Embeddings:
        """Embeddings of shape ``(len(texts), dim)``."""
        if not texts:
            return np.empty((0, self._dim), dtype=np.float32)
        found = {text: vector for text in texts if (vector := self._cached(text)) is not None}
        missing = [text for text in dict.fromkeys(texts) if text not in found]
        if missing:
            for text, vector in zip(missing, self._encode(missing), strict=True):
                found[text] = vector
                self._keep(text, vector)
        return np.stack([found[text] for text in texts])

    def _cached(self, text: str) -> np.ndarray | None:
        with self._lock:
            if text in self._cache:
                self._cache.move_to_end(text)
            return self._cache.get(text)

    def _keep(self, text: str, vector: np.ndarray) -> None:
        with self._lock:
            self._cache[text] = vector.copy()  # not a view, which would keep its whole batch
            while len(self._cache) > self._most:
                self._cache.popitem(last=False)
