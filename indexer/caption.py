"""Captions in vectors: an image's embedding and its caption's, mixed by weights."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from embeddings.encoder import Embeddings


@dataclass(frozen=True)
class Caption:
    """A text that enters a picture's vector."""

    text: str
    share: float
    """Of the two weights' sum, more than 0 and at most 1."""


@dataclass(frozen=True)
class Weights:
    """How much image and caption count in a vector; not both are 0."""

    image: float = 1.0
    caption: float = 0.0

    def caption_of(self, text: str) -> Caption | None:
        """What of a caption enters the vector; an image without one is stored by itself."""
        if not text.strip() or self.caption == 0:
            return None
        return Caption(text, self.caption / (self.image + self.caption))


def mix(
    images: Embeddings,
    captions: Sequence[Caption | None],
    encode_texts: Callable[[Sequence[str]], Embeddings],
) -> Embeddings:
    """``w_i * image + w_t * text``, L2-normalised, for each image that has a caption."""
    at = [number for number, caption in enumerate(captions) if caption is not None]
    if not at:
        return images
    mixed = images.copy()
    texts = encode_texts([caption.text for caption in captions if caption is not None])
    share = np.array([[c.share] for c in captions if c is not None], dtype=np.float32)
    sums = (1 - share) * images[at] + share * texts
    # Where a caption says the very opposite of its picture, nothing would be left to normalise.
    mixed[at] = sums / np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), 1e-12)
    return mixed
