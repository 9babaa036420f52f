"""What an encoder is, for everything that uses one."""

from collections.abc import Sequence
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from embeddings.images import ImageTransform

Embeddings: TypeAlias = NDArray[np.float32]
"""Float32, shape ``(n, dim)``, every row L2-normalised, C-contiguous; ``(0, dim)`` for nothing.

The inner product of two rows is their cosine similarity.
"""


class Encoder(Protocol):
    """Turns images and texts into embeddings of one space."""

    @property
    def dim(self) -> int:
        """Length of an embedding."""

    @property
    def model_id(self) -> str:
        """Names model and weights; embeddings are comparable only where this is equal."""

    @property
    def batch_size(self) -> int:
        """How many images it takes best at once."""

    @property
    def batches_at_once(self) -> int:
        """How many calls of ``encode_images`` are best made at once, in threads."""

    @property
    def image_transform(self) -> ImageTransform:
        """What is done to a picture before the model sees it; safe to run in any thread."""

    @property
    def logit_scale(self) -> float:
        """What cosines are multiplied by before a softmax (100 for OpenAI's models)."""

    def is_cut(self, text: str) -> bool:
        """Whether a text is longer than the model reads."""

    def encode_images(self, images: Sequence[Image.Image]) -> Embeddings:
        """Embeddings of shape ``(len(images), dim)``; pictures already transformed stay as is."""

    def encode_texts(self, texts: Sequence[str]) -> Embeddings:
        """Embeddings of shape ``(len(texts), dim)``; what exceeds the model's length is cut."""
