"""What the encoder service and its clients say to each other, as JSON.

``POST /vectorize`` is Weaviate's; what it does not know there, it passes over.
"""

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

from embeddings.images import ImageTransform

META, READY, LIVE, VECTORIZE = "/meta", "/.well-known/ready", "/.well-known/live", "/vectorize"
# What a model reads is far shorter; a tokenizer takes minutes for megabytes.
MAX_TEXT_CHARS = 2000


class Meta(BaseModel):
    """What a service is: the answer of ``GET /meta``."""

    model_config = ConfigDict(frozen=True)

    model_id: str
    model: str
    """The model's name as it was given."""
    pretrained: str | None
    """Its weights as they were given."""
    dim: int
    batch_size: int
    logit_scale: float
    image_transform: ImageTransform
    max_body_bytes: int
    """Larger requests are refused, and so are those with more texts or images than…"""
    max_items: int


class VectorizeRequest(BaseModel):
    """What is to be encoded. Weaviate writes null for none."""

    texts: list[str] | None = None
    images: list[str] | None = None
    """Picture files in base64."""


class VectorizeAnswer(BaseModel):
    """The embeddings, in the order of the request."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)

    text_vectors: list[list[float]]
    image_vectors: list[list[float]]
    texts_cut: list[bool]
    """Which texts are longer than the model reads."""
    model_id: str
    """Tells a client that another model is served than when it asked for ``/meta``."""
