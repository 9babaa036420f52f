"""Several encoders of one model, one for each device, that share every batch."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from PIL import Image

from embeddings.encoder import Embeddings, Encoder


class ParallelEncoder:
    """An Encoder over encoders of the same model: data parallelism without a copy of the data.

    Each call gives every encoder a run of the pictures as long as its share of ``batch_size``.
    Texts are few and go to the first.
    """

    def __init__(self, encoders: Sequence[Encoder]) -> None:
        identities = {encoder.model_id for encoder in encoders}
        if len(identities) != 1:
            raise ValueError(f"encoders of one model are needed, not of {sorted(identities)}")
        self._encoders = list(encoders)
        threads = len(self._encoders) * self.batches_at_once
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="device")
        self.dim = encoders[0].dim
        self.model_id = encoders[0].model_id
        self.image_transform = encoders[0].image_transform
        self.logit_scale = encoders[0].logit_scale

    @property
    def batch_size(self) -> int:
        """As many images as all encoders take together."""
        return sum(encoder.batch_size for encoder in self._encoders)

    @property
    def batches_at_once(self) -> int:
        """As many as each device takes: a batch is shared by them all."""
        return max(encoder.batches_at_once for encoder in self._encoders)

    def encode_images(self, images: Sequence[Image.Image]) -> Embeddings:
        """Embeddings of shape ``(len(images), dim)``, in the order of the images."""
        sizes = np.array([encoder.batch_size for encoder in self._encoders])
        ends = np.round(np.cumsum(sizes) / sizes.sum() * len(images)).astype(int).tolist()
        runs = [images[start:end] for start, end in zip([0, *ends], ends, strict=False)]
        parts = self._pool.map(lambda e, run: e.encode_images(run), self._encoders, runs)
        return np.concatenate(list(parts))

    def encode_texts(self, texts: Sequence[str]) -> Embeddings:
        """Embeddings of shape ``(len(texts), dim)``."""
        return self._encoders[0].encode_texts(texts)

    def is_cut(self, text: str) -> bool:
        """Whether a text is longer than the model reads."""
        return self._encoders[0].is_cut(text)
